// Threads whose native calls must not overlap take turns. There is one turn for the whole process, and each thread has a
// seat. A thread that ends its turn hands it to the next waiting seat, so that no thread starves; the main thread hands
// on the turn of a thread that has died. The constants below are cells of the shared memory.

/** Cell that is 1 while a thread has the turn. */
const TAKEN = 0
/** Counter that grows whenever a waiting thread should look again. */
const CHANGES = 1
/** The seat of a thread that is not expected to end its turn; 0 means none. */
const HELD_UP = 2
/** Offset of the seats, whose indices begin at 1. */
const SEATS = 2
const SEAT_COUNT = 512

/** States of a seat. `HAS_TURN` is set by the thread that hands over the turn, or that takes a free one. */
const FREE = 0
const IDLE = 1
const WAITS = 2
const HAS_TURN = 3

export interface Seat {
  readonly memory: SharedArrayBuffer
  readonly index: number
}

/** A thread's seat; the thread itself and the thread that started it both use one. */
export class Turn {
  readonly seat: Seat
  readonly #cells: Int32Array
  readonly #at: number

  constructor(seat: Seat) {
    this.seat = seat
    this.#cells = new Int32Array(seat.memory)
    this.#at = SEATS + seat.index
  }

  /** Returns a free seat, which is now taken; undefined if there is none. */
  static claim(memory: SharedArrayBuffer): Turn | undefined {
    const cells = new Int32Array(memory)
    for (let index = 1; index <= SEAT_COUNT; index += 1) {
      if (Atomics.compareExchange(cells, SEATS + index, FREE, IDLE) === FREE)
        return new Turn({ memory, index })
    }
    return undefined
  }

  /** Requests the turn, which `tryTake` takes. */
  request(): void {
    Atomics.store(this.#cells, this.#at, WAITS)
  }

  /**
   * Returns `taken` if this thread has the turn. Returns `held-up` if a thread that may never end its turn has it;
   * the request is then withdrawn. Returns a number otherwise, to be passed to `changed`. Must not be interrupted.
   */
  tryTake(): 'taken' | 'held-up' | number {
    const changes = Atomics.load(this.#cells, CHANGES)
    if (Atomics.load(this.#cells, this.#at) === HAS_TURN) return 'taken'
    if (Atomics.compareExchange(this.#cells, TAKEN, 0, 1) === 0) {
      Atomics.store(this.#cells, this.#at, HAS_TURN)
      return 'taken'
    }
    if (!this.#isHeldUp()) return changes
    // The exchange fails if another thread has just handed over the turn.
    return Atomics.compareExchange(this.#cells, this.#at, WAITS, IDLE) === WAITS ? 'held-up' : 'taken'
  }

  /** Resolves when `tryTake` may succeed; the event loop goes on meanwhile. */
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

  /** Marks the turn as held up if this thread has it, so that others do not wait for it. */
  holdUp(): void {
    if (Atomics.load(this.#cells, this.#at) !== HAS_TURN) return
    Atomics.store(this.#cells, HELD_UP, this.seat.index)
    this.#announce()
  }

  /** Frees the seat. To be called once, when its thread has ended. */
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

/** Returns the shared memory for the turns of one process. */
export function createTurns(): SharedArrayBuffer {
  return new SharedArrayBuffer((SEATS + 1 + SEAT_COUNT) * Int32Array.BYTES_PER_ELEMENT)
}
