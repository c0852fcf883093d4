import { errors } from '../../src/errors/errors.js'
import {
  CELL_COUNT,
  INSIDE_NATIVE,
  OUTSIDE_NATIVE,
  RUN,
  STATE,
  STOP,
} from '../../src/protocol/guard/guard-cells.js'
import { type Seat, Turn } from '../../src/protocol/guard/turn.js'

/**
 * The worker's half of the guard: it runs all native calls of this thread one after another. Two guarded
 * calls must never overlap, since the end of the first would clear the flag before the second starts
 * (`session.run` only starts in a later tick).
 */
export class NativeLane {
  /** True if calls wait for their turn among the threads of the process that take turns. */
  takesTurns: boolean
  readonly #cells: Int32Array
  readonly #turn: Turn | undefined
  #tail: Promise<unknown> = Promise.resolve()

  /** `seat` is set for a thread that may have to take turns; it does so until `takesTurns` is set to false. */
  constructor(guard: SharedArrayBuffer, seat: Seat | undefined) {
    this.#cells = new Int32Array(guard, 0, CELL_COUNT)
    this.#turn = seat === undefined ? undefined : new Turn(seat)
    this.takesTurns = seat !== undefined
    // A thread that dies between two calls must not look busy to the exit hook for its whole budget.
    process.on('exit', () => this.#leave())
  }

  /** Reports to the main thread the index of the run that begins, within its pack. */
  begin(run: number): void {
    Atomics.store(this.#cells, RUN, run)
  }

  /** Runs `call` after all earlier ones; parks the thread instead once the main thread has requested a stop. */
  run<T>(call: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(() => this.#guarded(call))
    this.#tail = result.catch(() => undefined)
    return result
  }

  async #guarded<T>(call: () => T | Promise<T>): Promise<T> {
    const turn = this.takesTurns ? this.#turn : undefined
    if (turn === undefined) this.#enter()
    else await this.#enterInTurn(turn)
    try {
      return await call()
    } finally {
      // Done while the thread counts as inside, so that it is not terminated in the middle of it.
      turn?.pass()
      this.#leave()
      if (Atomics.load(this.#cells, STOP) !== 0) this.#park()
    }
  }

  #enter(): void {
    Atomics.store(this.#cells, STATE, INSIDE_NATIVE)
    if (Atomics.load(this.#cells, STOP) !== 0) this.#park()
  }

  /** Waits for the turn outside of native code, so that the thread can be terminated and its event loop runs. */
  async #enterInTurn(turn: Turn): Promise<void> {
    turn.ask()
    for (;;) {
      this.#enter()
      const outcome = turn.tryTake()
      if (outcome === 'taken') return
      this.#leave()
      if (outcome === 'held-up') {
        throw new errors.ERR_MODEL_UNAVAILABLE(
          'another run on an execution provider that allows one run at a time in a process has not returned; restart the process if it never does',
        )
      }
      await turn.changed(outcome)
    }
  }

  #leave(): void {
    Atomics.store(this.#cells, STATE, OUTSIDE_NATIVE)
    Atomics.notify(this.#cells, STATE)
  }

  /** Waits to be terminated; that is safe because a thread in Atomics.wait is in JavaScript. */
  #park(): never {
    this.#turn?.pass()
    this.#leave()
    for (;;) Atomics.wait(this.#cells, STOP, 1)
  }
}
