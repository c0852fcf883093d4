import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LockOrder } from '../support/rules/lock-order.js'
import { programs } from './arbitraries.js'
import type { Program } from './program.js'
import { simulate } from './simulate.js'

/** A program in which two models take turns, because there is memory for one of them. */
const CROWDED: Program = {
  seed: 1,
  settings: { replicas: 2, rooms: 1 },
  models: ['a', 'b'],
  commands: [
    { kind: 'predict', model: 'a' },
    { kind: 'wait', ms: 300 },
    { kind: 'predict', model: 'b' },
    { kind: 'wait', ms: 300 },
    { kind: 'predict', model: 'a' },
    { kind: 'wait', ms: 300 },
  ],
  closeMs: 1_000,
}

describe('the locks of models', () => {
  it('are awaited in their order, whatever happens', async () => {
    const property = fc.asyncProperty(programs, async (program) => {
      const against: string[] = []
      const order = new LockOrder((chain) => against.push(chain))
      const { violations } = await simulate(program, false, order.hold)
      expect([...against, ...violations]).toEqual([])
    })
    await fc.assert(property, { numRuns: 60 })
  })

  it('are held at the same time when a load needs the memory of another model', async () => {
    const order = new LockOrder((chain) => expect.unreachable(chain))
    await simulate(CROWDED, false, order.hold)
    expect([...order.seen]).toEqual(
      expect.arrayContaining(['model', 'model > memory', 'model > memory > evicted model', 'model > load']),
    )
  })

  it('are reported when they are awaited in another order', async () => {
    const against: string[] = []
    const { hold } = new LockOrder((chain) => against.push(chain))
    const take = <T>(work: () => Promise<T>): Promise<T> => work()
    await hold('load', take, () => hold('memory', take, async () => undefined))
    await hold('model', take, () => hold('model', take, async () => undefined))
    await hold('model', take, () => hold('load', take, async () => undefined))
    // The lock is not held while the load waits.
    await hold('load', take, async () => undefined)
    await hold('model', take, async () => undefined)
    expect(against).toEqual(['load > memory', 'model > model'])
  })
})
