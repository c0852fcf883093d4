import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { batchingOptionsSchema } from '../../../src/config/batching-options.js'
import type { PoolSource } from '../../../src/pools/settings/pool-settings.js'
import type { BackgroundDone } from '../../../src/protocol/replica/replica-replies.js'
import type { Signature, TensorSpec } from '../../../src/tensors/tensor.js'
import { follow, PoolKit, source, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const sampled: PoolSource = {
  ...source,
  warmUp: {
    inputs: () => [{ type: 'float32', dims: [1], data: Float32Array.of(5) }],
    check: () => undefined,
  },
}

const rows: TensorSpec = { name: 'x', type: 'float32', dims: ['batch'] }
const batched: Signature = { inputs: [rows], outputs: [{ ...rows, name: 'y' }] }

const stretch: BackgroundDone = {
  ok: true,
  hasBackgroundWork: true,
  proof: undefined,
  trial: undefined,
  checks: 0,
  fault: undefined,
}

describe('a pool that is stopped during its initial proof', () => {
  it.each([0, 1, 2])(
    'sends the replica no further work after %d background tasks, then releases it, and the start rejects',
    async (stretches) => {
      const kit = new PoolKit({ batching: batchingOptionsSchema.parse({}) }, sampled)
      const starting = follow(kit.pool.start())
      kit.threads.hosts[0]?.finishLoad(batched)
      await turn()
      await kit.answer(5)
      const [host] = kit.threads.hosts
      // This is the run of the sample that the replica keeps for the proof.
      const run = host?.task
      expect(run?.message.kind).toBe('run')
      const answerRun = (): void => {
        const results = [{ answer: { dims: [[1]], data: [Float32Array.of(5).buffer] }, ms: 1 }]
        run?.reply({ ok: true, buffer: new ArrayBuffer(8), results, hasBackgroundWork: true })
      }
      if (stretches > 0) answerRun()
      await turn()
      for (let done = 1; done < stretches; done += 1) {
        host?.task?.reply(stretch)
        await turn()
      }
      const stopping = follow(kit.pool.stop(10_000))
      await turn()
      if (stretches === 0) answerRun()
      else host?.task?.reply(stretch)
      await turn()
      const kinds = host?.tasks.map(({ kind }) => kind)
      expect(kinds).toEqual(['load', 'run', 'run', ...Array(stretches).fill('background'), 'release'])
      await vi.advanceTimersByTimeAsync(1_000)
      expect(starting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
      expect(stopping.value).toEqual([])
      expect(kit.threads.alive).toEqual([])
    },
  )
})
