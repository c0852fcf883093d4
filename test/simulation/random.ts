/** Random numbers that follow from a seed alone ("mulberry32" of Tommy Ettinger). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** Returns a number from 0 up to but excluding 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Returns an integer from 0 up to but excluding `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }
}

/** Returns the seed of the program with that index; the first program has the seed itself. */
export function seedOf(seed: number, index: number): number {
  if (index === 0) return seed
  return Math.floor(new Random(Math.imul(seed ^ 0x9e3779b9, index)).next() * 2 ** 31)
}
