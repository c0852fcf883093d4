import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../../src/platform/clock.js'
import { Replica } from '../../../../src/pools/replicas/replica.js'
import { Watchdog } from '../../../../src/pools/replicas/watchdog.js'
import { FakeHost, fakeSignature } from '../../../support/fake-host.js'
import { packOf } from '../../../support/packs.js'

const LIMIT_MS = 1_000
/** A quarter of the limit. */
const EVERY_MS = 250

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
})

afterEach(() => {
  vi.useRealTimers()
})

interface Watch {
  readonly host: FakeHost
  readonly replica: Replica
  readonly quarantined: Replica[]
  /** Checks at the time `atMs`, and delivers waiting replies. */
  look(atMs: number): Promise<void>
}

/** Returns a replica whose run has begun at 0, and its watchdog. */
function watch(): Watch {
  const host = new FakeHost()
  const replica = new Replica(systemClock, host, 'fake', '1')
  replica.markIdle()
  const quarantined: Replica[] = []
  const watchdog = new Watchdog(systemClock, LIMIT_MS, [replica], (stuck) => quarantined.push(stuck))
  run(replica, 0)
  const look = async (atMs: number): Promise<void> => {
    watchdog.look(atMs)
    await vi.advanceTimersByTimeAsync(0)
  }
  return { host, replica, quarantined, look }
}

function run(replica: Replica, atMs: number): void {
  const x = { type: 'float32', dims: [1], data: Float32Array.of(1) } as const
  const task = packOf(fakeSignature, [[x]])
  replica.markBusy()
  void replica.run(atMs, task).then(() => replica.markIdle())
}

describe('the watchdog', () => {
  it('quarantines the replica of a run that has reached its limit', async () => {
    const { replica, quarantined, look } = watch()
    for (const atMs of [250, 500, 750, 999]) await look(atMs)
    expect(quarantined).toEqual([])
    await look(1_000)
    expect(quarantined).toEqual([replica])
  })

  it('does not count time before the run began', async () => {
    const { host, replica, quarantined, look } = watch()
    for (const atMs of [250, 500, 750]) await look(atMs)
    host.answer()
    await vi.advanceTimersByTimeAsync(0)
    run(replica, 900)
    for (const atMs of [1_000, 1_250, 1_500, 1_750]) await look(atMs)
    expect(quarantined).toEqual([])
    await look(1_900)
    expect(quarantined).toEqual([replica])
  })

  it('does not count time in which the process did not run', async () => {
    const { quarantined, look } = watch()
    await look(EVERY_MS)
    await look(3_600_000)
    expect(quarantined).toEqual([])
    // 250 ms had passed before the pause, which itself counts as a quarter of a check, so 687 ms are left.
    for (const ms of [250, 500]) await look(3_600_000 + ms)
    expect(quarantined).toEqual([])
    await look(3_600_000 + 750)
    expect(quarantined).toHaveLength(1)
  })

  it('quarantines the replica eventually even if the main thread is late at every check', async () => {
    const { quarantined, look } = watch()
    let looks = 0
    for (; quarantined.length === 0 && looks < 100; looks += 1) await look(10_000 * (looks + 1))
    expect(looks).toBe(16)
  })

  it('reads a waiting reply before it quarantines the replica', async () => {
    const { host, replica, quarantined, look } = watch()
    for (const atMs of [250, 500, 750]) await look(atMs)
    // The reply arrives in the turn after the check.
    setImmediate(() => host.answer())
    await look(1_000)
    expect(quarantined).toEqual([])
    expect(replica.state).toBe('idle')
  })

  it('does not mistake the next run for the one that took too long', async () => {
    const { host, replica, quarantined, look } = watch()
    for (const atMs of [250, 500, 750]) await look(atMs)
    host.answer()
    const looking = look(1_000)
    await Promise.resolve()
    await looking
    run(replica, 1_000)
    await look(1_010)
    expect(quarantined).toEqual([])
  })
})
