import { withTimeout } from '../async/with-timeout.js'
import { errors, messageOf } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import type { Logger } from '../telemetry/logger.js'
import type { Handlers, ShutdownHandler, StartupHandler } from './handlers.js'
import { planShutdown, timeBefore } from './plan-shutdown.js'
import { runHandler } from './run-handler.js'

/** Runs the shutdown handlers of an application, except those whose startup handler has not completed. */
export class ShutdownRunner {
  /** Every startup handler in the order in which they run; in order of registration before a startup. */
  order: readonly StartupHandler[]
  /** Names of startup handlers that have completed. */
  readonly done = new Set<string>()
  readonly #clock: Clock
  readonly #handlers: Handlers
  readonly #logger: Logger
  readonly #lateRuns = new Set<Promise<unknown>>()

  constructor(clock: Clock, handlers: Handlers, logger: Logger) {
    this.#clock = clock
    this.order = handlers.startup
    this.#handlers = handlers
    this.#logger = logger
  }

  /** Returns the time for which a shutdown with `budgetMs` may wait before its handlers run. */
  timeBefore(budgetMs: number): number {
    return timeBefore(this.#plan(), budgetMs, budgetMs)
  }

  /** Runs all handlers, also if some fail; resolves with the failures. */
  async runAll(endsAtMs: number, budgetMs: number): Promise<Error[]> {
    const failures: Error[] = []
    const plan = this.#plan()
    let endMs = endsAtMs
    for (const [index, handler] of plan.entries()) {
      const startedAtMs = this.#clock.now()
      const timeMs = timeBefore(plan.slice(index + 1), endMs - startedAtMs, budgetMs)
      const limitMs = Math.min(handler.timeoutMs ?? timeMs, timeMs)
      const failure = await this.#run(handler, limitMs)
      if (failure !== undefined) failures.push(failure)
      // Time that a step took beyond its limit to wind up is not taken from the others.
      if (handler.timing.windUpMs !== undefined)
        endMs += Math.max(0, this.#clock.now() - startedAtMs - limitMs)
    }
    await withTimeout(this.#clock, Promise.all(this.#lateRuns), Math.max(0, endMs - this.#clock.now()))
    return failures
  }

  /** Undoes a startup handler that completed after it was abandoned. */
  async undoLate(name: string, defaultLimitMs: number): Promise<void> {
    const handler = this.#handlers.shutdown.find(({ undoes }) => undoes === name)
    if (handler === undefined) return
    const run = this.#run(handler, handler.timeoutMs ?? defaultLimitMs)
    this.#lateRuns.add(run)
    await run
    this.#lateRuns.delete(run)
  }

  #plan(): ShutdownHandler[] {
    return planShutdown(this.#handlers.shutdown, this.order, this.done)
  }

  async #run({ name, run, timing }: ShutdownHandler, limitMs: number): Promise<Error | undefined> {
    const label = `shutdown handler "${name}"`
    const timeoutError = new errors.ERR_SHUTDOWN(`${label} did not complete within ${Math.round(limitMs)} ms`)
    try {
      await runHandler(this.#clock, run, limitMs, timeoutError, { windUpMs: timing.windUpMs }).outcome
      return undefined
    } catch (cause) {
      const error =
        cause === timeoutError
          ? timeoutError
          : new errors.ERR_SHUTDOWN(`${label} failed: ${messageOf(cause)}`, { cause })
      this.#logger.error({ err: error }, 'shutdown handler failed')
      return error
    }
  }
}
