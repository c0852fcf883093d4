import type { Clock } from '../platform/clock.js'
import { callListener } from './call-listener.js'
import type { Logger } from './logger.js'

/** The minimum time between two lines. */
const QUIET_MS = 1_000

/** Calls listeners. A listener that throws or rejects is logged and does not interrupt the current operation. */
export class ListenerFailures {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #message: string
  #quietUntilMs = Number.NEGATIVE_INFINITY
  #unlogged = 0

  /** @param message the message of the log lines */
  constructor(clock: Clock, logger: Logger, message: string) {
    this.#clock = clock
    this.#logger = logger
    this.#message = message
  }

  /** Calls a listener of `event`. */
  guard(event: string, call: () => unknown): void {
    callListener(call, (error) => this.#log(event, error))
  }

  /**
   * Logs a failure, at most once in `QUIET_MS`: a listener that fails with every request could otherwise fill a disk.
   */
  #log(event: string, err: unknown): void {
    const nowMs = this.#clock.now()
    if (nowMs < this.#quietUntilMs) {
      this.#unlogged += 1
      return
    }
    this.#quietUntilMs = nowMs + QUIET_MS
    const fields = { err, event, ...(this.#unlogged === 0 ? {} : { unlogged: this.#unlogged }) }
    this.#unlogged = 0
    this.#logger.error(fields, this.#message)
  }
}
