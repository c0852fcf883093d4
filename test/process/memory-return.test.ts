import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { fixturePath, messageOf, runChild } from '../support/run-child.js'

const MEGABYTES = 48
const WEIGHTS = MEGABYTES * 2 ** 20
const REPLICAS = 2
/** The size of a thread heap of glibc on 64 bits (malloc/arena.c). */
const HEAP_MAX_SIZE = 64 * 2 ** 20

interface Held {
  readonly before: number
  readonly loaded: number
  readonly after: readonly number[]
  readonly allocator: { isTrimmed: boolean; isThresholdSet: boolean; reason: string | undefined }
}

async function rounds(execArgv: readonly string[], memory: object = {}): Promise<Held> {
  using models = tempRepository({ big: { '1': graphs.bigLoad(MEGABYTES) } })
  const child = await runChild('load-and-unload.mjs', {
    execArgv: ['--expose-gc', ...execArgv],
    input: {
      source: models.path('big', '1'),
      replicas: REPLICAS,
      rounds: 5,
      memory,
    },
  })
  expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
  return messageOf(child, 'memory') as unknown as Held
}

describe.runIf(process.platform === 'linux')('the memory of an unloaded model', () => {
  it('returns to the system in every round', async () => {
    const { before, loaded, after, allocator } = await rounds([])
    expect(allocator).toEqual({ isTrimmed: true, isThresholdSet: true })
    // Every replica holds the weights at least once.
    expect(loaded - before).toBeGreaterThan(0.9 * REPLICAS * WEIGHTS)
    for (const each of after) expect(each - before).toBeLessThan(0.1 * WEIGHTS)
  })

  it('returns without a change of the allocator, too, as far as a trim returns it', async () => {
    const { before, loaded, after, allocator } = await rounds([], { allocator: 'untouched' })
    expect(allocator).toMatchObject({ isTrimmed: true, isThresholdSet: false })
    expect(allocator.reason).toMatch(/untouched/)
    expect(loaded - before).toBeGreaterThan(REPLICAS * HEAP_MAX_SIZE)
    // A trim cannot free the top of the heap of another thread, and glibc may leave one whole heap there.
    for (const each of after) expect(each - before).toBeLessThan(REPLICAS * HEAP_MAX_SIZE)
    // That is rare, and freed in the next round.
    const middle = after.toSorted((a, b) => a - b)[Math.floor(after.length / 2)] as number
    expect(middle - before).toBeLessThan(WEIGHTS / 2)
  })

  it('is not waited for without koffi, which the stats report', async () => {
    const { after, allocator } = await rounds(['--require', fixturePath('no-koffi.cjs')])
    expect(allocator).toMatchObject({ isTrimmed: false, isThresholdSet: false })
    expect(allocator.reason).toMatch(/koffi/)
    expect(after).toHaveLength(5)
  })
})
