import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { runOrder } from '../../harness/child.js'
import { startLoad } from './loads.js'
import type { LoadOrder, LoadOutcome } from './order.js'

const SETTLE_MS = 1_000

/** Runs an HTTP server with one kind of load beside it. */
runOrder<LoadOrder, LoadOutcome>(async (order, parent) => {
  const server = createServer((_request, response) => {
    response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const load = await startLoad[order.load](order)
  await sleep(SETTLE_MS)
  const runsBefore = load.runs()
  const startedAt = performance.now()
  const stopped = parent.nextMessage()
  parent.report('listening', (server.address() as AddressInfo).port)
  await stopped
  const outcome = { runs: load.runs() - runsBefore, durationMs: performance.now() - startedAt }
  await load.stop()
  server.closeAllConnections()
  server.close()
  return outcome
})
