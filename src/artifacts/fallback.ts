import { errors } from '../errors/errors.js'
import type { Shortfalls } from '../telemetry/shortfalls.js'
import { BuilderDeath, BuilderUnavailable } from './builder/builder-failure.js'

/** Keeps what is wrong with the cache or the builder away from the models. */
export class Fallback {
  readonly #shortfalls: Shortfalls
  readonly #cacheDir: string | undefined

  constructor(shortfalls: Shortfalls, cacheDir: string | undefined) {
    this.#shortfalls = shortfalls
    this.#cacheDir = cacheDir
  }

  /** Undefined if it fails for a reason that is the cache's or the machine's: then there is none. */
  async guarded<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof errors.ERR_RUNTIME_CLOSED || error instanceof BuilderUnavailable) throw error
      // The model itself is the end of a process.
      if (error instanceof errors.ERR_MODEL_LOAD && error.cause instanceof BuilderDeath) throw error
      this.report(error, 'an artifact cannot be built or kept; the model is served as it is')
      return undefined
    }
  }

  report(err: unknown, what: string): void {
    this.#shortfalls.add(what, err, { cacheDir: this.#cacheDir })
  }
}
