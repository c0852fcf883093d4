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
  readonly #logger: Logger
  readonly #found = new Set<string>()
  #unreported: Shortfall[] = []

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Adds a shortfall: `what` names what is not done, `err` the reason. */
  add(what: string, err: unknown, fields: Shortfall['fields'] = {}): void {
    if (this.#found.has(what)) {
      this.#logger.debug({ err, ...fields }, what)
      return
    }
    this.#found.add(what)
    this.#unreported.push({ what, err, fields })
  }

  /** Logs the new shortfalls. To be called at the end of each operation that may have added one. */
  report(): void {
    const shortfalls = this.#unreported
    if (shortfalls.length === 0) return
    this.#unreported = []
    const causes = shortfalls.map(({ err }) => err)
    const err = causes.length === 1 ? causes[0] : new AggregateError(causes, causes.map(messageOf).join('; '))
    const fields = Object.assign({}, ...shortfalls.map((shortfall) => shortfall.fields))
    this.#logger.warn({ err, ...fields }, shortfalls.map(({ what }) => what).join('; '))
  }
}
