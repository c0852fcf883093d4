import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { PoolSettings } from '../../../src/pools/settings/pool-settings.js'
import { PoolKit, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Ballast = PoolSettings['ballast']

/** Records the calls of pools, in order. */
class RecordingBallast implements Ballast {
  readonly calls: (string | number)[] = []

  join(): void {
    this.calls.push('join')
  }

  leave(): void {
    this.calls.push('leave')
  }

  count(data: { readonly length: number }): void {
    this.calls.push(data.length)
  }
}

it('a pool uses its ballast from its creation to its end, and counts the outputs of each request once', async () => {
  const ballast = new RecordingBallast()
  const kit = await PoolKit.open({ ballast })
  for (const x of [1, 2]) {
    const request = kit.ask(x)
    await kit.answer(x)
    expect(request.y).toBe(x)
  }
  const stopping = kit.pool.stop(1_000)
  await turn()
  for (const host of kit.threads.hosts) host.task?.reply({ ok: true })
  expect(await stopping).toEqual([])
  await kit.pool.stop(1_000)
  expect(ballast.calls).toEqual(['join', 1, 1, 'leave'])
})
