import { AsyncResource } from 'node:async_hooks'
import { inspect } from 'node:util'
import { SingleFlight } from '../async/single-flight.js'
import { withTimeout } from '../async/with-timeout.js'
import { parseOptions } from '../config/parse-options.js'
import {
  type LifecycleOptions,
  lifecycleSchema,
  type ShutdownRequest,
  shutdownSchema,
} from '../config/runtime-options.js'
import { errors, messageOf } from '../errors/errors.js'
import { type Clock, systemClock } from '../platform/clock.js'
import { Announcer } from '../telemetry/announcer.js'
import { Emitter } from '../telemetry/emitter.js'
import { EngineEvents } from '../telemetry/events/engine-events.js'
import { type ApplicationSubject, componentOf } from '../telemetry/events/subject.js'
import { inBackground } from '../telemetry/in-background.js'
import { createLogger, type Logger, takeLogger } from '../telemetry/logger.js'
import { handleSignals } from './handle-signals.js'
import {
  Handlers,
  type LifecycleHandler,
  type ShutdownOptions,
  type StartupOptions,
  type StepTiming,
} from './handlers.js'
import {
  type HealthCheck,
  type HealthCheckOptions,
  HealthMonitor,
  type HealthReport,
} from './health/health-monitor.js'
import { orderSteps } from './order-steps.js'
import { runHandler } from './run-handler.js'
import { ShutdownRunner } from './shutdown-runner.js'
import { type LifecycleState, StateMachine, type Transition, transitionOf } from './state-machine.js'

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
export class LifecycleManager extends Emitter<LifecycleEvents> {
  readonly logger: Logger
  readonly gracefulShutdownTimeoutMs: number
  readonly #clock: Clock
  readonly #handlesSignals: boolean
  readonly #isSilent: boolean
  readonly #machine: StateMachine
  readonly #handlers = new Handlers()
  readonly #health: HealthMonitor
  readonly #scope = new AsyncResource('tbcoin-engine.lifecycle')
  /** Aborts when a shutdown begins. */
  readonly #stopping = new AbortController()
  /** Rejects when a shutdown does not wait for the startup any longer. */
  readonly #abandoned: Promise<never>
  #abandon!: (error: Error) => void
  readonly #shutdownRunner: ShutdownRunner
  readonly #startup = new SingleFlight<void>()
  readonly #stop = new SingleFlight<Error[]>()
  #ignoreSignals: (() => void) | undefined
  #runningSinceMs: number | undefined
  #endedAtMs: number | undefined
  /** The startup handlers, while they run. */
  #starting: Promise<void> = Promise.resolve()

  /** @param events the bus of a runtime; without one the manager has its own */
  constructor(options: LifecycleManagerOptions = {}, clock: Clock = systemClock, events?: EngineEvents) {
    super({ transition: true })
    this.#clock = clock
    const [logger, rest] = takeLogger(options, 'LifecycleManager')
    const config = parseOptions(lifecycleSchema, rest, 'LifecycleManager')
    const { appName, logLevel } = config
    const subject: ApplicationSubject = { kind: 'application', name: appName }
    const base = logger ?? createLogger(appName, logLevel)
    this.logger = base.child({ component: componentOf(subject) })
    this.gracefulShutdownTimeoutMs = config.gracefulShutdownTimeoutMs
    this.#handlesSignals = config.handleSignals
    this.#isSilent = logger === undefined && logLevel === 'silent'
    const bus = events ?? new EngineEvents(clock, base)
    this.#machine = new StateMachine(clock, subject, (event) => bus.publish('transition', event))
    const announcer = new Announcer<LifecycleEvents>(clock, this, this.logger)
    bus.subscribe({
      transition: (event) => {
        if (event.subject === subject) announcer.tell('transition', transitionOf(event))
      },
    })
    this.#shutdownRunner = new ShutdownRunner(clock, this.#handlers, this.logger)
    this.#health = new HealthMonitor(clock, this.#machine, () => this.uptimeSeconds)
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

  /** Seconds from the end of the startup to the end of the shutdown, or to now; 0 before. */
  get uptimeSeconds(): number {
    if (this.#runningSinceMs === undefined) return 0
    return ((this.#endedAtMs ?? this.#clock.now()) - this.#runningSinceMs) / 1_000
  }

  /**
   * Adds a handler that runs at `startup()`, after those added before and those in `dependsOn`.
   * @throws ERR_INVALID_OPTIONS, also once the startup has begun.
   */
  addStartupHandler(handler: LifecycleHandler, options: StartupOptions = {}): void {
    if (!this.#machine.is('uninitialized')) {
      throw new errors.ERR_INVALID_OPTIONS(
        `addStartupHandler: the startup has begun (${this.state}); add handlers before startup(); a runtime starts in createRuntime, so take a LifecycleManager of your own, and create the runtime in one of its startup handlers`,
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
  addShutdownStep(handler: LifecycleHandler, options: ShutdownOptions, timing?: StepTiming): void {
    if (this.#machine.is('stopping', 'stopped', 'error')) {
      throw new errors.ERR_INVALID_OPTIONS(`addShutdownHandler: the shutdown has begun (${this.state})`)
    }
    this.#handlers.addShutdown(handler, options, timing)
  }

  /** @throws ERR_INVALID_OPTIONS for a name that is taken or an option that does not fit. */
  addHealthCheck(name: string, check: HealthCheck, options: HealthCheckOptions = {}): void {
    if (this.#machine.is('stopped', 'error')) {
      throw new errors.ERR_INVALID_OPTIONS(`addHealthCheck: the application has ended (${this.state})`)
    }
    this.#scope.runInAsyncScope(() => this.#health.add(name, check, options))
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
    if (this.#runningSinceMs !== undefined && !this.isRunning) return Promise.reject(this.#startedBefore())
    return this.#startup.run(() => this.#scope.runInAsyncScope(() => this.#start()))
  }

  /**
   * Runs every shutdown handler, also when some fail; the application ends `stopped`, or in `error` if
   * some did. During a startup the handler under way is told by its signal and waited for, so a
   * handler must not wait for the shutdown itself. All calls share the first one's outcome.
   * @param options the reason, which is the trigger in events and log lines, or that and `timeoutMs`,
   * by default `gracefulShutdownTimeoutMs`
   * @throws ERR_SHUTDOWN, whose `cause` is an AggregateError of all failures.
   */
  async shutdown(options: string | ShutdownRequest = {}): Promise<void> {
    const { reason, timeoutMs = this.gracefulShutdownTimeoutMs } = parseOptions(
      shutdownSchema,
      typeof options === 'string' ? { reason: options } : options,
      'shutdown',
    )
    const failures = await this.stop(reason, timeoutMs)
    if (failures.length > 0) throw shutdownError(failures)
  }

  /** As `shutdown`, with another budget; resolves with what failed. @internal */
  stop(reason: string, budgetMs: number): Promise<Error[]> {
    return this.#stop.run(() => this.#scope.runInAsyncScope(() => this.#end(reason, budgetMs)))
  }

  async #start(): Promise<void> {
    if (!this.#machine.is('uninitialized')) throw this.#startedBefore()
    this.#machine.to('initializing', 'startup')
    if (this.#handlesSignals) this.#ignoreSignals = handleSignals(this)
    try {
      this.#starting = this.#runStartupHandlers()
      await this.#starting
      for (const state of ['ready', 'starting', 'running'] as const) {
        this.#assertNotStopping()
        if (state === 'running') this.#runningSinceMs = this.#clock.now()
        this.#machine.to(state, 'startup')
      }
    } catch (error) {
      if (this.#machine.is('initializing')) {
        this.#machine.to('stopping', 'startup', error)
        const budgetMs = this.gracefulShutdownTimeoutMs
        await this.#shutdownRunner.runAll(this.#clock.now() + budgetMs, budgetMs)
        this.#finish('error', 'startup', error)
      } else {
        // A shutdown undoes what had been done: whoever hears of this may end the process.
        await this.#stop.promise
      }
      throw error
    }
  }

  async #runStartupHandlers(): Promise<void> {
    const steps = orderSteps(this.#handlers.startup)
    this.#shutdownRunner.order = steps
    const { signal } = this.#stopping
    for (const { name, run, timeoutMs } of steps) {
      this.#assertNotStopping()
      const timeoutError = new errors.ERR_STARTUP(
        `startup handler "${name}" was not done within ${timeoutMs} ms`,
      )
      const { outcome, settled, abandon } = runHandler(this.#clock, run, timeoutMs, timeoutError, {
        stop: signal,
      })
      try {
        await Promise.race([outcome, this.#abandoned])
      } catch (cause) {
        abandon()
        const undone = settled.then((isDone) =>
          isDone ? this.#shutdownRunner.undoLate(name, this.gracefulShutdownTimeoutMs) : undefined,
        )
        inBackground(this, undone, 'undoing a late startup handler')
        if (cause === timeoutError || cause === signal.reason) throw cause
        if (signal.aborted) throw new errors.ERR_STARTUP(messageOf(signal.reason), { cause })
        throw new errors.ERR_STARTUP(`startup handler "${name}" failed: ${messageOf(cause)}`, { cause })
      }
      this.#shutdownRunner.done.add(name)
    }
  }

  /** A shutdown may have begun meanwhile, also by a listener. */
  #assertNotStopping(): void {
    this.#stopping.signal.throwIfAborted()
  }

  async #end(reason: string, budgetMs: number): Promise<Error[]> {
    const endsAtMs = this.#clock.now() + budgetMs
    if (this.#machine.is('uninitialized')) {
      this.#finish('stopped', reason)
      return []
    }
    if (this.#machine.is('stopping', 'error')) {
      // The startup has failed, and undoes what had been done.
      await this.#startup.promise?.catch(() => undefined)
      return []
    }
    const isStarting = this.#machine.is('initializing')
    this.#machine.to('stopping', reason)
    const message = `the application was shut down while it started (${reason})`
    this.#stopping.abort(new errors.ERR_STARTUP(message))
    if (isStarting) await this.#settleStartup(this.#shutdownRunner.timeBefore(budgetMs))
    const failures = await this.#shutdownRunner.runAll(endsAtMs, budgetMs)
    if (failures.length === 0) this.#finish('stopped', reason)
    else this.#finish('error', reason, shutdownError(failures))
    return failures
  }

  /** Waits for the startup handler under way; after `timeoutMs` it is undone whenever it is done. */
  async #settleStartup(timeoutMs: number): Promise<void> {
    const settled = this.#starting.then(
      () => true,
      () => true,
    )
    if ((await withTimeout(this.#clock, settled, timeoutMs)) === undefined)
      this.#abandon(this.#stopping.signal.reason)
  }

  /** Also where the log is silent: else a crash would have no trace at all. @internal */
  reportFatal(error: unknown): void {
    this.logger.fatal({ err: error }, 'an error that nobody handled; the process ends')
    if (this.#isSilent) process.stderr.write(`Uncaught ${inspect(error)}\n`)
  }

  #startedBefore(): Error {
    return new errors.ERR_STARTUP(`the application is ${this.state} and cannot be started again`)
  }

  #finish(state: 'stopped' | 'error', trigger: string, cause?: unknown): void {
    this.#endedAtMs = this.#clock.now()
    this.#machine.to(state, trigger, cause)
    this.#health.stop()
    this.#ignoreSignals?.()
  }
}

function shutdownError(failures: readonly Error[]): Error {
  const reasons = failures.map((failure) => failure.message).join('; ')
  const prefix = failures.length === 1 ? '' : `${failures.length} shutdown handlers failed: `
  return new errors.ERR_SHUTDOWN(`${prefix}${reasons}`, { cause: new AggregateError(failures, reasons) })
}
