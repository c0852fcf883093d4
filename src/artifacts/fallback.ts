import { errors } from '../errors.js'
import type { Logger } from '../telemetry/logger.js'
import { BuilderDeath, NoBuilder } from './builder-failure.js'

/** Keeps what is wrong with the cache or the builder away from the models, with one warning of each kind. */
export class Fallback {
  readonly #log: Logger
  readonly #cacheDir: string | undefined
  readonly #warned = new Set<string>()

  constructor(log: Logger, cacheDir: string | undefined) {
    this.#log = log
    this.#cacheDir = cacheDir
  }

  /** Undefined if it fails for a reason that is the cache's or the machine's: then there is none. */
  async guarded<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof errors.ERR_RUNTIME_CLOSED || error instanceof NoBuilder) throw error
      // The model itself is the end of a process.
      if (error instanceof errors.ERR_MODEL_LOAD && error.cause instanceof BuilderDeath) throw error
      this.warn(error, 'an artifact cannot be built or kept; the model is served as it is')
      return undefined
    }
  }

  warn(err: unknown, message: string): void {
    const level = this.#warned.has(message) ? 'debug' : 'warn'
    this.#warned.add(message)
    this.#log[level]({ err, cacheDir: this.#cacheDir }, message)
  }
}
