import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fulfil } from '../../harness/child.js'
import { startLoad } from './loads.js'
import type { LoadOrder, LoadOutcome } from './order.js'

const SETTLE_MS = 1_000

/** An HTTP server with one kind of load beside it. */
fulfil<LoadOrder, LoadOutcome>(async (order, parent) => {
  const server = createServer((_request, response) => {
    response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const work = await startLoad[order.load](order)
  await sleep(SETTLE_MS)
  const runsBefore = work.runs()
  const startedAt = performance.now()
  const over = parent.told()
  parent.report('listening', (server.address() as AddressInfo).port)
  await over
  const outcome = { runs: work.runs() - runsBefore, durationMs: performance.now() - startedAt }
  await work.stop()
  server.closeAllConnections()
  server.close()
  return outcome
})
