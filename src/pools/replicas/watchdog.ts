import type { Clock, Timer } from '../../platform/clock.js'
import type { Replica } from './replica.js'

/** Looks during the time that a run may take, and the most and the least time between two. */
const LOOKS = 4
const MAX_EVERY_MS = 1_000
const MIN_EVERY_MS = 10
/** A look that comes so many times too late: the process was stopped, or its main thread was busy. */
const LATE = 2
/** What of the time between two looks is charged then, so that a run is given up in the end all the same. */
const LATE_SHARE = 1 / 4

/**
 * Finds runs that do not return. A replica is charged for the time between two looks, but not for time
 * in which the process did not run, or in which the main thread could not read its reply.
 */
export class Watchdog {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #everyMs: number
  readonly #replicas: Iterable<Replica>
  readonly #giveUp: (replica: Replica) => void
  #timer: Timer | undefined
  #lookedAtMs = 0

  /** A run that takes longer than `limitMs` is told to `giveUp`. */
  constructor(
    clock: Clock,
    limitMs: number,
    replicas: Iterable<Replica>,
    giveUp: (replica: Replica) => void,
  ) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#everyMs = Math.max(MIN_EVERY_MS, Math.min(MAX_EVERY_MS, limitMs / LOOKS))
    this.#replicas = replicas
    this.#giveUp = giveUp
  }

  start(): void {
    this.#lookedAtMs = this.#clock.now()
    this.#timer = this.#clock.setInterval(() => this.look(this.#clock.now()), this.#everyMs)
    this.#timer.unref()
  }

  stop(): void {
    this.#clock.clear(this.#timer)
  }

  /** Charges what runs, and gives up what has run too long once the replies that wait have been read. */
  look(nowMs: number): void {
    const sinceMs = nowMs - this.#lookedAtMs
    this.#lookedAtMs = nowMs
    const chargedMs = sinceMs > LATE * this.#everyMs ? LATE_SHARE * this.#everyMs : sinceMs
    for (const replica of this.#replicas) {
      if (!replica.isRunning || replica.charge(nowMs, chargedMs) < this.#limitMs) continue
      const { tasks } = replica
      this.#clock.setImmediate(() => {
        if (replica.isRunning && replica.tasks === tasks) this.#giveUp(replica)
      })
    }
  }
}
