import { messageOf } from '../errors/errors.js'
import type { Logger } from './safe-logger.js'

interface Shortfall {
  readonly what: string
  readonly err: unknown
  readonly fields: Readonly<Record<string, unknown>>
}

/**
 * Collects the features that do not work in this environment and are skipped. Each is reported once; those found
 * together share one warning.
 */
export class Shortfalls {
  readonly #log: Logger
  readonly #known = new Set<string>()
  #untold: Shortfall[] = []

  constructor(log: Logger) {
    this.#log = log
  }

  /** Adds a shortfall: `what` names what is not done, `err` the reason. */
  add(what: string, err: unknown, fields: Shortfall['fields'] = {}): void {
    if (this.#known.has(what)) {
      this.#log.debug({ err, ...fields }, what)
      return
    }
    this.#known.add(what)
    this.#untold.push({ what, err, fields })
  }

  /** Logs the new shortfalls. To be called at the end of each operation that may have added one. */
  tell(): void {
    const told = this.#untold
    if (told.length === 0) return
    this.#untold = []
    const causes = told.map(({ err }) => err)
    const err = causes.length === 1 ? causes[0] : new AggregateError(causes, causes.map(messageOf).join('; '))
    const fields = Object.assign({}, ...told.map((each) => each.fields))
    this.#log.warn({ err, ...fields }, told.map(({ what }) => what).join('; '))
  }
}
