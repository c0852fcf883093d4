import type { EventEmitter } from 'node:events'
import type { Clock } from '../platform/clock.js'
import { aside } from './aside.js'
import type { Logger } from './logger.js'

/** Lines of one emitter about its listeners come at most so often. */
const QUIET_MS = 1_000

/**
 * Emits the events of an emitter. A listener that throws, or rejects, breaks neither what is under
 * way nor the other listeners: it is logged.
 */
export class Announcer<Events extends Record<keyof Events, unknown[]>> {
  readonly #clock: Clock
  readonly #emitter: EventEmitter
  readonly #logger: Logger
  #quietUntilMs = 0
  #unlogged = 0

  constructor(clock: Clock, emitter: EventEmitter<Events>, logger: Logger) {
    this.#clock = clock
    this.#emitter = emitter as unknown as EventEmitter
    this.#logger = logger
  }

  tell<K extends keyof Events & string>(event: K, ...payload: Events[K]): void {
    // Not by `emit`, which ends at the first listener that throws.
    for (const listener of this.#emitter.rawListeners(event)) {
      aside(
        () => Reflect.apply(listener, this.#emitter, payload),
        (error) => this.#log(event, error),
      )
    }
  }

  /** A listener of an event that comes with every request could fill a disk. */
  #log(event: string, err: unknown): void {
    const nowMs = this.#clock.now()
    if (nowMs < this.#quietUntilMs) {
      this.#unlogged += 1
      return
    }
    this.#quietUntilMs = nowMs + QUIET_MS
    const fields = { err, event, ...(this.#unlogged === 0 ? {} : { unlogged: this.#unlogged }) }
    this.#unlogged = 0
    this.#logger.error(fields, 'a listener of the application has thrown')
  }
}
