import type { Clock, Timer } from '../../platform/clock.js'
import type { Replica } from './replica.js'

/** Number of looks during the time limit of a run, and the bounds of the interval between two looks. */
const LOOKS = 4
const MAX_EVERY_MS = 1_000
const MIN_EVERY_MS = 10
/**
 * A look that comes later than this multiple of the interval: the process was stopped, or its main thread was busy.
 */
const LATE = 2
/** The part of the interval that is charged then, so that a stuck run reaches its limit all the same. */
const LATE_SHARE = 1 / 4

/**
 * Finds runs that exceed their time limit. A replica is charged for the time between two looks, but not for time in
 * which the process did not run, or in which the main thread could not read its reply.
 */
export class Watchdog {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #everyMs: number
  readonly #replicas: Iterable<Replica>
  readonly #onStuck: (replica: Replica) => void
  #timer: Timer | undefined
  #lookedAtMs = 0

  /** @param onStuck called with the replica of a run that takes longer than `limitMs` */
  constructor(
    clock: Clock,
    limitMs: number,
    replicas: Iterable<Replica>,
    onStuck: (replica: Replica) => void,
  ) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#everyMs = Math.max(MIN_EVERY_MS, Math.min(MAX_EVERY_MS, limitMs / LOOKS))
    this.#replicas = replicas
    this.#onStuck = onStuck
  }

  start(): void {
    this.#lookedAtMs = this.#clock.now()
    this.#timer = this.#clock.setInterval(() => this.look(this.#clock.now()), this.#everyMs)
    this.#timer.unref()
  }

  stop(): void {
    this.#clock.clear(this.#timer)
  }

  /** Charges the running replicas. A replica over the limit is reported once the replies that wait have been read. */
  look(nowMs: number): void {
    const sinceMs = nowMs - this.#lookedAtMs
    this.#lookedAtMs = nowMs
    const chargedMs = sinceMs > LATE * this.#everyMs ? LATE_SHARE * this.#everyMs : sinceMs
    for (const replica of this.#replicas) {
      if (!replica.isRunning || replica.charge(nowMs, chargedMs) < this.#limitMs) continue
      const { tasks } = replica
      this.#clock.setImmediate(() => {
        if (replica.isRunning && replica.tasks === tasks) this.#onStuck(replica)
      })
    }
  }
}
