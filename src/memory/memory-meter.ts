import type { Clock } from '../platform/clock.js'
import { type MemoryReading, readMemory } from '../platform/process-memory.js'

/** A memory reading with its age. */
export interface DatedReading extends MemoryReading {
  /** Milliseconds since the memory was read. */
  readonly ageMs: number
}

const MAX_AGE_MS = 1_000
/** Maximum age of a reading used as the "before" value of a measurement. */
const RECENT_MS = 10

/** Measures the memory that this process holds, as the kernel counts it. */
export class MemoryMeter {
  readonly #clock: Clock
  #last: MemoryReading | undefined
  #readAtMs = Number.NEGATIVE_INFINITY
  #isReading = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Reads the memory now, in libuv's thread pool; that takes 30 ms at 2 GB. */
  async read(): Promise<MemoryReading> {
    const reading = await readMemory()
    this.#last = reading
    this.#readAtMs = this.#clock.now()
    return reading
  }

  /**
   * Returns a reading of a moment ago or, if there is none, of now: the "before" value of a change, which then need
   * not be read twice.
   */
  async recent(): Promise<MemoryReading> {
    const isRecent = this.#clock.now() - this.#readAtMs <= RECENT_MS
    return this.#last !== undefined && isRecent ? this.#last : this.read()
  }

  /**
   * Returns the last reading immediately; undefined if there is none yet. If it is older than a second, another
   * reading is started for the next caller.
   */
  last(): DatedReading | undefined {
    const ageMs = this.#clock.now() - this.#readAtMs
    if (ageMs > MAX_AGE_MS && !this.#isReading) {
      this.#isReading = true
      const done = (): void => {
        this.#isReading = false
      }
      // A failed reading is ignored here; a load, which requires one, rejects with the reason.
      this.read().then(done, done)
    }
    return this.#last === undefined ? undefined : { ...this.#last, ageMs }
  }
}
