import type { Clock } from '../../platform/clock.js'
import { ListenerFailures } from '../listener-failures.js'
import type { Logger } from '../logger.js'
import { diagnosticsChannels } from './diagnostics-channels.js'
import type { EngineEventMap, EngineEventName, EngineSubscriber } from './event-map.js'
import { logEvents } from './log-events.js'

/**
 * The bus of engine events. Each event is written to the log, published on its diagnostics channel, and passed to the
 * subscribers in their order, before `publish` returns.
 */
export class EngineEvents {
  readonly #failures: ListenerFailures
  readonly #subscribers: EngineSubscriber[]

  constructor(clock: Clock, logger: Logger) {
    this.#failures = new ListenerFailures(clock, logger, 'event subscriber failed')
    this.#subscribers = [logEvents(logger), diagnosticsChannels]
  }

  /**
   * Adds a subscriber. One that throws or rejects interrupts neither the publisher nor the other subscribers: its
   * error is logged.
   */
  subscribe(subscriber: EngineSubscriber): void {
    this.#subscribers.push(subscriber)
  }

  publish<Name extends EngineEventName>(name: Name, event: EngineEventMap[Name]): void {
    for (const subscriber of this.#subscribers) {
      const handler = subscriber[name]
      if (handler !== undefined) this.#failures.guard(name, () => handler(event))
    }
  }
}
