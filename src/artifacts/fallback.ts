import { errors } from '../errors/errors.js'
import type { Shortfalls } from '../telemetry/shortfalls.js'
import { BuilderDeath, BuilderUnavailable } from './builder/builder-failure.js'

/** Turns failures of the cache or the builder into reports, so that models are served in their original form. */
export class Fallback {
  readonly #shortfalls: Shortfalls
  readonly #cacheDir: string | undefined

  constructor(shortfalls: Shortfalls, cacheDir: string | undefined) {
    this.#shortfalls = shortfalls
    this.#cacheDir = cacheDir
  }

  /**
   * Returns the result of `work`; undefined if it failed because of the cache or the machine, which is
   * reported.
   * @throws ERR_RUNTIME_CLOSED, BuilderUnavailable, and ERR_MODEL_LOAD if the model crashes the builder.
   */
  async guarded<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof errors.ERR_RUNTIME_CLOSED || error instanceof BuilderUnavailable) throw error
      // The model itself crashes the process that loads it.
      if (error instanceof errors.ERR_MODEL_LOAD && error.cause instanceof BuilderDeath) throw error
      this.report(error, 'artifact could not be built or stored; the model is served in its original form')
      return undefined
    }
  }

  /** Reports a failure: `what` says what failed and what is done instead. */
  report(err: unknown, what: string): void {
    this.#shortfalls.add(what, err, { cacheDir: this.#cacheDir })
  }
}
