import type { Clock } from '../platform/clock.js'

const PATIENCE_MS = 250
/** Allows for reading at 50 MB/s; slower disks and networks are rare. */
const PATIENCE_MS_PER_MIB = 20
const MIB = 2 ** 20

/**
 * Runs up to a fixed number of tasks at the same time, in the order in which they were added. A task that takes
 * longer than the size of its files explains gives up its place to the next one and goes on beside it, so that a task
 * that hangs does not delay the others for long.
 */
export class Lane {
  readonly #clock: Clock
  readonly #width: number
  readonly #waiting: (() => void)[] = []
  #taken = 0

  constructor(clock: Clock, width: number) {
    this.#clock = clock
    this.#width = width
  }

  /**
   * Runs `task` when a place is free; settles as `task` does. `bytes` is the size of the files that the task reads,
   * as far as it is known.
   */
  async add<T>(task: () => Promise<T>, bytes = 0): Promise<T> {
    if (this.#taken < this.#width) this.#taken += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let hasPlace = true
    const leave = (): void => {
      this.#clock.clear(timer)
      if (hasPlace) this.#pass()
      hasPlace = false
    }
    const timer = this.#clock.setTimeout(leave, PATIENCE_MS + (bytes / MIB) * PATIENCE_MS_PER_MIB)
    try {
      return await task()
    } finally {
      leave()
    }
  }

  /** Hands a place to the task that has waited longest, or frees it. */
  #pass(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next()
  }
}
