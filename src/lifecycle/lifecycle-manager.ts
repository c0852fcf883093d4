import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { type LifecycleOptions, lifecycleSchema, parseOptions } from '../config.js'
import { errors, messageOf } from '../errors.js'
import { within } from '../pools/within.js'
import { createLogger, type Logger } from '../telemetry/logger.js'
import { tell } from '../telemetry/tell.js'
import {
  Handlers,
  type LifecycleHandler,
  type OwnTime,
  type ShutdownHandler,
  type ShutdownOptions,
  type StartupOptions,
} from './handlers.js'
import { type HealthCheck, type HealthCheckOptions, HealthMonitor, type HealthReport } from './health.js'
import { logTransitions } from './log-transitions.js'
import { runHandler } from './run-handler.js'
import { planShutdown, type Started, timeBefore } from './shutdown-plan.js'
import { handleSignals } from './signals.js'
import { SingleFlight } from './single-flight.js'
import { type LifecycleState, StateMachine, type Transition } from './states.js'
import { orderSteps } from './step-order.js'

export interface LifecycleManagerOptions extends LifecycleOptions {
  /** Where log lines go, for example the host's pino logger; by default one of our own, on stderr. */
  logger?: Logger
}

export interface LifecycleEvents {
  transition: [transition: Transition]
}

/**
 * Starts and stops an application: its startup handlers in order, its shutdown handlers in reverse.
 * It lives once.
 */
export class LifecycleManager extends EventEmitter<LifecycleEvents> {
  readonly logger: Logger
  readonly gracefulShutdownTimeoutMs: number
  readonly #handlesSignals: boolean
  readonly #machine: StateMachine
  readonly #handlers = new Handlers()
  readonly #health: HealthMonitor
  readonly #scope = new AsyncResource('tbcoin-engine.lifecycle')
  /** Aborts when a shutdown begins. */
  readonly #stopping = new AbortController()
  /** Rejects when a shutdown does not wait for the startup any longer. */
  readonly #abandoned: Promise<never>
  #abandon!: (error: Error) => void
  readonly #done = new Set<string>()
  #order: string[] = []
  readonly #startup = new SingleFlight<void>()
  readonly #stop = new SingleFlight<Error[]>()
  #ignoreSignals: (() => void) | undefined
  #runningSinceMs: number | undefined

  constructor(options: LifecycleManagerOptions = {}) {
    super()
    const { logger, ...rest } = options
    const config = parseOptions(lifecycleSchema, rest, 'LifecycleManager')
    const { appName, logLevel } = config
    const component = `application ${appName}`
    const base = logger ?? createLogger(appName, logLevel)
    this.logger = base.child({ component })
    this.gracefulShutdownTimeoutMs = config.gracefulShutdownTimeoutMs
    this.#handlesSignals = config.handleSignals
    this.#machine = new StateMachine(component, logTransitions(base, component))
    this.#machine.onChange((transition) =>
      tell<LifecycleEvents, 'transition'>(this, 'transition', transition),
    )
    this.#health = new HealthMonitor(this.#machine, () => this.uptimeSeconds)
    this.#abandoned = new Promise((_, reject) => {
      this.#abandon = reject
    })
    this.#abandoned.catch(() => undefined)
  }

  get state(): LifecycleState {
    return this.#machine.state
  }

  get isRunning(): boolean {
    return this.#machine.is('running')
  }

  /** Seconds since the startup was done, 0 before. */
  get uptimeSeconds(): number {
    return this.#runningSinceMs === undefined ? 0 : (performance.now() - this.#runningSinceMs) / 1_000
  }

  /**
   * Adds a handler that runs at `startup()`, after those added before and those in `dependsOn`.
   * @throws ERR_INVALID_OPTIONS, also once the startup has begun.
   */
  addStartupHandler(handler: LifecycleHandler, options: StartupOptions = {}): void {
    if (!this.#machine.is('uninitialized')) {
      throw new errors.ERR_INVALID_OPTIONS(
        `addStartupHandler: the startup has begun (${this.state}); add handlers before startup()`,
      )
    }
    this.#handlers.addStartup(handler, options)
  }

  /**
   * Adds a handler that runs at `shutdown()`, in reverse order of the startup. With the name of a
   * startup handler it undoes that one: it runs only if that has been done.
   * @throws ERR_INVALID_OPTIONS, also once the shutdown has begun.
   */
  addShutdownHandler(handler: LifecycleHandler, options: ShutdownOptions = {}): void {
    this.addShutdownStep(handler, options)
  }

  /** As `addShutdownHandler`, for a step of this library. @internal */
  addShutdownStep(handler: LifecycleHandler, options: ShutdownOptions, own?: OwnTime): void {
    if (this.#machine.is('stopping', 'stopped', 'error')) {
      throw new errors.ERR_INVALID_OPTIONS(`addShutdownHandler: the shutdown has begun (${this.state})`)
    }
    this.#handlers.addShutdown(handler, options, own)
  }

  /** @throws ERR_INVALID_OPTIONS for a name that is taken or an option that does not fit. */
  addHealthCheck(name: string, check: HealthCheck, options: HealthCheckOptions = {}): void {
    this.#health.add(name, check, options)
  }

  /** Runs every health check; never rejects. */
  healthCheck(): Promise<HealthReport> {
    return this.#scope.runInAsyncScope(() => this.#health.report())
  }

  /**
   * Runs the startup handlers; resolves when the application is `running`. If one fails, what had
   * been done is undone, in reverse, and the state is `error`. All calls get the first one's promise.
   * @throws ERR_STARTUP, whose `cause` is the first failure; ERR_INVALID_OPTIONS for dependencies that
   * cannot be met.
   */
  startup(): Promise<void> {
    return this.#startup.run(() => this.#scope.runInAsyncScope(() => this.#start()))
  }

  /**
   * Runs every shutdown handler, also when some fail; the application ends `stopped`, or in `error` if
   * some did. During a startup the handler under way is told by its signal and waited for. All calls get the
   * first one's promise.
   * @throws ERR_SHUTDOWN, whose `cause` is an AggregateError of all failures.
   */
  async shutdown(reason = 'shutdown'): Promise<void> {
    const failures = await this.stop(reason, this.gracefulShutdownTimeoutMs)
    if (failures.length > 0) throw shutdownError(failures)
  }

  /** As `shutdown`, with another budget; resolves with what failed. @internal */
  stop(reason: string, budgetMs: number): Promise<Error[]> {
    return this.#stop.run(() => this.#scope.runInAsyncScope(() => this.#end(reason, budgetMs)))
  }

  async #start(): Promise<void> {
    if (!this.#machine.is('uninitialized')) {
      throw new errors.ERR_STARTUP(`the application is ${this.state} and cannot be started again`)
    }
    this.#machine.to('initializing', 'startup')
    if (this.#handlesSignals) this.#ignoreSignals = handleSignals(this)
    try {
      await this.#runStartupHandlers()
      for (const state of ['ready', 'starting', 'running'] as const) {
        this.#assertWanted()
        if (state === 'running') this.#runningSinceMs = performance.now()
        this.#machine.to(state, 'startup')
      }
    } catch (error) {
      // Else a shutdown is under way, which undoes what had been done.
      if (this.#machine.is('initializing')) {
        this.#machine.to('stopping', 'startup', error)
        await this.#undo(performance.now() + this.gracefulShutdownTimeoutMs, this.gracefulShutdownTimeoutMs)
        this.#over('error', 'startup', error)
      }
      throw error
    }
  }

  async #runStartupHandlers(): Promise<void> {
    const steps = orderSteps(this.#handlers.startup)
    this.#order = steps.map((step) => step.name)
    const { signal } = this.#stopping
    for (const { name, run, timeoutMs } of steps) {
      this.#assertWanted()
      const late = new errors.ERR_STARTUP(`startup handler "${name}" was not done within ${timeoutMs} ms`)
      const { outcome, settled } = runHandler(run, timeoutMs, late, { stop: signal })
      try {
        await Promise.race([outcome, this.#abandoned])
      } catch (cause) {
        void settled.then((isDone) => (isDone ? this.#undoLate(name) : undefined))
        if (cause === late || signal.aborted) throw cause
        throw new errors.ERR_STARTUP(`startup handler "${name}" failed: ${messageOf(cause)}`, { cause })
      }
      this.#done.add(name)
    }
  }

  /** A shutdown may have begun meanwhile, also by a listener. */
  #assertWanted(): void {
    const { aborted, reason } = this.#stopping.signal
    if (aborted) throw wasStopped(reason)
  }

  async #end(reason: string, budgetMs: number): Promise<Error[]> {
    const endsAtMs = performance.now() + budgetMs
    if (this.#machine.is('uninitialized')) {
      this.#over('stopped', reason)
      return []
    }
    if (this.#machine.is('stopping', 'error')) {
      // The startup has failed, and undoes what had been done.
      await this.#startup.promise?.catch(() => undefined)
      return []
    }
    const isStarting = this.#machine.is('initializing')
    this.#machine.to('stopping', reason)
    this.#stopping.abort(reason)
    if (isStarting) await this.#settleStartup(reason, timeBefore(this.#plan(), budgetMs, budgetMs))
    const failures = await this.#undo(endsAtMs, budgetMs)
    if (failures.length === 0) this.#over('stopped', reason)
    else this.#over('error', reason, shutdownError(failures))
    return failures
  }

  /** Waits for the startup handler under way; after `timeoutMs` it is undone whenever it is done. */
  async #settleStartup(reason: string, timeoutMs: number): Promise<void> {
    const settled = this.#startup.promise?.catch(() => undefined).then(() => true)
    if ((await within(settled ?? Promise.resolve(true), timeoutMs)) === undefined)
      this.#abandon(wasStopped(reason))
  }

  #plan(): ShutdownHandler[] {
    const started: Started = { order: this.#order, done: this.#done, places: this.#handlers.places }
    return planShutdown(this.#handlers.shutdown, started)
  }

  async #undo(endsAtMs: number, budgetMs: number): Promise<Error[]> {
    const failures: Error[] = []
    const plan = this.#plan()
    for (const [index, handler] of plan.entries()) {
      const timeMs = timeBefore(plan.slice(index + 1), endsAtMs - performance.now(), budgetMs)
      const limitMs = Math.min(handler.timeoutMs ?? timeMs, timeMs)
      const failure = await this.#runShutdownHandler(handler, limitMs)
      if (failure !== undefined) failures.push(failure)
    }
    return failures
  }

  async #runShutdownHandler(
    { name, run, own }: ShutdownHandler,
    limitMs: number,
  ): Promise<Error | undefined> {
    const what = `shutdown handler "${name}"`
    const late = new errors.ERR_SHUTDOWN(`${what} was not done within ${Math.round(limitMs)} ms`)
    try {
      await runHandler(run, limitMs, late, { windUpMs: own.windUpMs }).outcome
      return undefined
    } catch (cause) {
      const error =
        cause === late ? late : new errors.ERR_SHUTDOWN(`${what} failed: ${messageOf(cause)}`, { cause })
      this.logger.error({ err: error }, 'a shutdown handler failed')
      return error
    }
  }

  /** A startup handler was done after all, when nobody waited for it any more. */
  async #undoLate(name: string): Promise<void> {
    for (const handler of this.#handlers.shutdown) {
      if (handler.undoes !== name) continue
      await this.#runShutdownHandler(handler, handler.timeoutMs ?? this.gracefulShutdownTimeoutMs)
    }
  }

  #over(state: 'stopped' | 'error', trigger: string, cause?: unknown): void {
    this.#machine.to(state, trigger, cause)
    this.#health.stop()
    this.#ignoreSignals?.()
  }
}

function wasStopped(reason: unknown): Error {
  return new errors.ERR_STARTUP(`the application was shut down while it started (${String(reason)})`)
}

function shutdownError(failures: readonly Error[]): Error {
  const reasons = failures.map((failure) => failure.message).join('; ')
  const what = failures.length === 1 ? '' : `${failures.length} shutdown handlers failed: `
  return new errors.ERR_SHUTDOWN(`${what}${reasons}`, { cause: new AggregateError(failures, reasons) })
}
