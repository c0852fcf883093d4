/** The places where a thread of the gated loader can be held. */
const PLACES = ['load', 'run', 'release'] as const
export type Place = (typeof PLACES)[number]

const FOR_GOOD = 1_000_000

/**
 * Holds threads until a test lets them through, and reports their arrival. The counterpart is in
 * `loaders/gated-loader.mjs`; each place has a count of arrivals and of permits.
 */
export class Gate {
  /** The value of `loaderOptions.gate` for the loader. */
  readonly memory: SharedArrayBuffer = new SharedArrayBuffer(PLACES.length * 2 * Int32Array.BYTES_PER_ELEMENT)
  readonly #cells = new Int32Array(this.memory)

  arrived(place: Place): number {
    return Atomics.load(this.#cells, PLACES.indexOf(place) * 2)
  }

  /** Resolves when threads have been held at `place` `count` times in total. */
  async arrival(place: Place, count = 1): Promise<void> {
    const cell = PLACES.indexOf(place) * 2
    // Atomics.waitAsync does not keep the process alive.
    const keepAlive = setInterval(() => undefined, 1_000)
    try {
      for (let arrived = this.arrived(place); arrived < count; arrived = this.arrived(place)) {
        const waiting = Atomics.waitAsync(this.#cells, cell, arrived)
        if (waiting.async) await waiting.value
      }
    } finally {
      clearInterval(keepAlive)
    }
  }

  /** Lets `count` more threads through, in the order of arrival. */
  open(place: Place, count = 1): void {
    Atomics.add(this.#cells, PLACES.indexOf(place) * 2 + 1, count)
    Atomics.notify(this.#cells, PLACES.indexOf(place) * 2 + 1)
  }

  /** Lets all threads through from now on. */
  openForGood(): void {
    for (const place of PLACES) this.open(place, FOR_GOOD)
  }
}
