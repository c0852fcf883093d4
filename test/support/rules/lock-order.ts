import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { type HoldLock, LOCK_ORDER, type LockName } from '../../../src/models/context/locks.js'

interface Held {
  readonly lock: LockName
  readonly outer: Held | undefined
  isOver: boolean
}

/**
 * There is one store for all locks, because each store that was ever used slows down every promise of the
 * process.
 */
const current = new AsyncLocalStorage<Held | undefined>()

/** Takes locks, and reports each wait that goes against their order. */
export class LockOrder {
  /** Every wait for a lock, with the locks that were held, for example `model > memory`. */
  readonly seen = new Set<string>()
  readonly #report: (chain: string) => void

  constructor(report: (chain: string) => void) {
    this.#report = report
  }

  readonly hold: HoldLock = (lock, take, work) => {
    const outer = current.getStore()
    const locks: LockName[] = []
    for (let held = outer; held !== undefined; held = held.outer) if (!held.isOver) locks.unshift(held.lock)
    const chain = [...locks, lock].join(' > ')
    this.seen.add(chain)
    const rank = LOCK_ORDER.indexOf(lock)
    if (locks.some((held) => LOCK_ORDER.indexOf(held) >= rank)) this.#report(chain)
    return take(async () => {
      const held = { lock, outer, isOver: false }
      try {
        // The wait runs in a separate async resource, so that a listener that calls back does not inherit the
        // lock.
        return await new AsyncResource('lock').runInAsyncScope(() => current.run(held, work))
      } finally {
        held.isOver = true
      }
    })
  }
}
