import type { Clock } from '../platform/clock.js'
import { type MemoryReading, readMemory } from '../platform/process-memory.js'

/** A reading that is not of now. */
export interface DatedReading extends MemoryReading {
  readonly ageMs: number
}

const MAX_AGE_MS = 1_000
/** So old a reading may be to tell what was before something. */
const RECENT_MS = 10

/** What this process holds, as the kernel counts it. */
export class MemoryMeter {
  readonly #clock: Clock
  #last: MemoryReading | undefined
  #readAtMs = Number.NEGATIVE_INFINITY
  #isReading = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Reads it now: 30 ms at 2 GB, in libuv's thread pool. */
  async read(): Promise<MemoryReading> {
    const reading = await readMemory()
    this.#last = reading
    this.#readAtMs = this.#clock.now()
    return reading
  }

  /** Of a moment ago, or of now: what there was before a change, which then need not be read twice. */
  async recent(): Promise<MemoryReading> {
    const isRecent = this.#clock.now() - this.#readAtMs <= RECENT_MS
    return this.#last !== undefined && isRecent ? this.#last : this.read()
  }

  /** The last reading, at once; if it is older than a second another one is begun, for whoever asks next. */
  last(): DatedReading | undefined {
    const ageMs = this.#clock.now() - this.#readAtMs
    if (ageMs > MAX_AGE_MS && !this.#isReading) {
      this.#isReading = true
      const done = (): void => {
        this.#isReading = false
      }
      // A load, which cannot do without a reading, rejects with the reason.
      this.read().then(done, done)
    }
    return this.#last === undefined ? undefined : { ...this.#last, ageMs }
  }
}
