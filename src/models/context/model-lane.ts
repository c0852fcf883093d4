import PQueue from 'p-queue'
import type { HoldLock, LockName } from './locks.js'

/** Runs the changes of one model (loads, swaps, unloads, evictions) one after another. */
export class ModelLane {
  readonly #hold: HoldLock
  readonly #queue = new PQueue({ concurrency: 1 })

  /** @param onIdle is called each time the last change has ended. */
  constructor(hold: HoldLock, onIdle: () => void) {
    this.#hold = hold
    this.#queue.on('idle', onIdle)
  }

  /** Runs `work` after the changes that were added before. */
  run<T>(work: () => Promise<T>, lock: LockName = 'model'): Promise<T> {
    return this.#hold(lock, (held: () => Promise<T>) => this.#queue.add(held), work)
  }

  get isIdle(): boolean {
    return this.#queue.size + this.#queue.pending === 0
  }
}
