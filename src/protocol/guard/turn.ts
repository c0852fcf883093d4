/**
 * Threads whose native calls must not overlap take turns, of which there is one for the whole process.
 * Each has a seat. The thread that ends its turn hands it to the next seat that waits, so that none
 * starves; the main thread does so for one that has died. Cells of the shared memory:
 */
const TAKEN = 0
/** Grows whenever a thread that waits has something to look at. */
const CHANGES = 1
/** The seat of a thread that is not expected to end its turn; 0 is none. */
const HELD_UP = 2
/** The seats follow, from 1 on. */
const SEATS = 2
const SEAT_COUNT = 512

/** States of a seat. `HAS_TURN` is set by the thread that hands the turn over. */
const FREE = 0
const IDLE = 1
const WAITS = 2
const HAS_TURN = 3

export interface Seat {
  readonly memory: SharedArrayBuffer
  readonly index: number
}

/** A thread's seat, as the thread itself and the one that has started it use it. */
export class Turn {
  readonly seat: Seat
  readonly #cells: Int32Array
  readonly #at: number

  constructor(seat: Seat) {
    this.seat = seat
    this.#cells = new Int32Array(seat.memory)
    this.#at = SEATS + seat.index
  }

  /** Takes a free seat; undefined if there is none. */
  static claim(memory: SharedArrayBuffer): Turn | undefined {
    const cells = new Int32Array(memory)
    for (let index = 1; index <= SEAT_COUNT; index += 1) {
      if (Atomics.compareExchange(cells, SEATS + index, FREE, IDLE) === FREE)
        return new Turn({ memory, index })
    }
    return undefined
  }

  /** Asks for the turn; `tryTake` gets it. */
  ask(): void {
    Atomics.store(this.#cells, this.#at, WAITS)
  }

  /**
   * Returns how it went: `taken`; `held-up` by a thread that may never end its turn, and this one does not
   * ask any more; else what to wait for, by `changed`. Must not be interrupted.
   */
  tryTake(): 'taken' | 'held-up' | number {
    const changes = Atomics.load(this.#cells, CHANGES)
    if (Atomics.load(this.#cells, this.#at) === HAS_TURN) return 'taken'
    if (Atomics.compareExchange(this.#cells, TAKEN, 0, 1) === 0) {
      Atomics.store(this.#cells, this.#at, HAS_TURN)
      return 'taken'
    }
    if (!this.#isHeldUp()) return changes
    // Unless it has been given the turn just now.
    return Atomics.compareExchange(this.#cells, this.#at, WAITS, IDLE) === WAITS ? 'held-up' : 'taken'
  }

  /** Resolves when it may be worth another try; the event loop goes on meanwhile. */
  async changed(changes: number): Promise<void> {
    const { async, value } = Atomics.waitAsync(this.#cells, CHANGES, changes)
    if (async) await value
  }

  /** Ends the turn, or the wait for it. Must not be interrupted. */
  pass(): void {
    this.#vacate(IDLE)
  }

  get isWaiting(): boolean {
    return Atomics.load(this.#cells, this.#at) === WAITS
  }

  /** Tells the others not to wait for this thread, if it has the turn. */
  holdUp(): void {
    if (Atomics.load(this.#cells, this.#at) !== HAS_TURN) return
    Atomics.store(this.#cells, HELD_UP, this.seat.index)
    this.#announce()
  }

  /** Gives the seat back. To be called when its thread is gone, once. */
  leave(): void {
    this.#vacate(FREE)
  }

  #vacate(state: typeof FREE | typeof IDLE): void {
    const hadTurn = Atomics.exchange(this.#cells, this.#at, state) === HAS_TURN
    Atomics.compareExchange(this.#cells, HELD_UP, this.seat.index, 0)
    if (!hadTurn) return
    if (!this.#handOver()) Atomics.store(this.#cells, TAKEN, 0)
    this.#announce()
  }

  #handOver(): boolean {
    for (let step = 1; step <= SEAT_COUNT; step += 1) {
      const at = SEATS + 1 + ((this.seat.index - 1 + step) % SEAT_COUNT)
      if (Atomics.compareExchange(this.#cells, at, WAITS, HAS_TURN) === WAITS) return true
    }
    return false
  }

  #announce(): void {
    Atomics.add(this.#cells, CHANGES, 1)
    Atomics.notify(this.#cells, CHANGES)
  }

  #isHeldUp(): boolean {
    const index = Atomics.load(this.#cells, HELD_UP)
    return index !== 0 && Atomics.load(this.#cells, SEATS + index) === HAS_TURN
  }
}

/** Returns memory for the turns of one process. */
export function createTurns(): SharedArrayBuffer {
  return new SharedArrayBuffer((SEATS + 1 + SEAT_COUNT) * Int32Array.BYTES_PER_ELEMENT)
}
