import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import { errors } from '../errors/errors.js'
import { nearestName } from '../text/nearest-name.js'

/** Events of Node itself; `events.once` and `events.on` also listen for `error`. */
const NODE_EVENTS = ['error', 'newListener', 'removeListener']

const METHODS = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
  'off',
  'removeListener',
] as const

type EventMap<Events> = Record<keyof Events, unknown[]>

/** An emitter with a fixed set of events: it rejects a listener for any other event, which would never be called. */
export class Emitter<Events extends EventMap<Events>> extends EventEmitter<Events> {
  readonly #events: readonly string[]

  /** @param events every event by its name, so that none can be forgotten */
  constructor(events: Readonly<Record<keyof Events & string, true>>) {
    super()
    this.#events = Object.keys(events)
  }

  static {
    for (const method of METHODS) {
      const listen = EventEmitter.prototype[method]
      const value = function checked(this: Emitter<never>, ...args: Parameters<typeof listen>): unknown {
        this.#assertKnown(method, args[0])
        return listen.apply(this, args)
      }
      Object.defineProperty(Emitter.prototype, method, { value, configurable: true, writable: true })
    }
  }

  /** Throws ERR_INVALID_OPTIONS for an unknown event; a symbol may be an event of other code. */
  #assertKnown(method: string, event: unknown): void {
    if (typeof event === 'symbol' || this.#events.concat(NODE_EVENTS).includes(event as string)) return
    const similar = typeof event === 'string' ? nearestName(event, this.#events) : undefined
    const advice =
      similar === undefined
        ? `the events are ${this.#events.join(', ')}`
        : `did you mean ${inspect(similar)}?`
    throw new errors.ERR_INVALID_OPTIONS(`${method}: there is no event ${inspect(event)}; ${advice}`)
  }
}
