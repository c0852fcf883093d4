import type { EventEmitter } from 'node:events'
import type { Clock } from '../platform/clock.js'
import { ListenerFailures } from './listener-failures.js'
import type { Logger } from './logger.js'

/**
 * Emits the events of an emitter. A listener that throws or rejects interrupts neither the current operation nor the
 * other listeners: its error is logged.
 */
export class Announcer<Events extends Record<keyof Events, unknown[]>> {
  readonly #emitter: EventEmitter
  readonly #failures: ListenerFailures

  constructor(clock: Clock, emitter: EventEmitter<Events>, logger: Logger) {
    this.#emitter = emitter as unknown as EventEmitter
    this.#failures = new ListenerFailures(clock, logger, 'listener failed')
  }

  emit<K extends keyof Events & string>(event: K, ...payload: Events[K]): void {
    // `emit` would stop at the first listener that throws.
    for (const listener of this.#emitter.rawListeners(event)) {
      this.#failures.guard(event, () => Reflect.apply(listener, this.#emitter, payload))
    }
  }
}
