import type { SimulatedClock } from './simulated-clock.js'

/** The events of a program, as a hash that distinguishes runs, and as text on request. */
export class Trace {
  readonly lines: string[] = []
  #hash = 0x811c9dc5
  readonly #clock: SimulatedClock
  readonly #keeps: boolean

  constructor(clock: SimulatedClock, keeps: boolean) {
    this.#clock = clock
    this.#keeps = keeps
  }

  /** The FNV-1a hash of every line with its time. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  add(what: string): void {
    const line = `${this.#clock.now()} ${what}`
    for (let index = 0; index < line.length; index += 1) {
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(index), 0x01000193)
    }
    if (this.#keeps) this.lines.push(line)
  }
}
