import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { loop, tripsPerMs } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { messageOf, startChild } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const replicas = 3
/** Much longer than a run takes even on a busy machine, and shorter than the pause. */
const stuckAfterMs = 4_000
const pauseMs = 6_000
const models = [{ name: 'loop', version: '1', source: repository.path('loop', '1') }]
const trips = tripsPerMs * 40

describe.runIf(process.platform !== 'win32')('a host that is paused for longer than stuckAfterMs', () => {
  it.each(['stop', 'block'])('(%s) loses no replica and no request', async (how) => {
    const input = { models, replicas, trips, how, stuckAfterMs, pauseMs }
    const child = startChild('paused.mjs', { input, limitMs: 60_000 })
    if (how === 'stop') {
      await child.message('running')
      await sleep(pauseMs)
      child.kill('SIGCONT')
    }
    const result = await child.result
    expect(messageOf(result, 'done')).toMatchObject({
      outcomes: new Array(replicas).fill('answered'),
      later: 'answered',
      stuck: 0,
      state: 'running',
    })
    expect(result).toMatchObject({ code: 0, signal: null })
  })
})
