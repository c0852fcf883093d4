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

/** Options of a lifecycle manager. */
export interface LifecycleManagerOptions extends LifecycleOptions {
  /** Logger for all log lines, for example the host's pino logger. Default: a logger on stderr. */
  logger?: Logger
}

/** The events of a lifecycle manager. */
export interface LifecycleEvents {
  /** Emitted when the application changes its state. */
  transition: [transition: Transition]
}

/**
 * Starts and stops an application: runs its startup handlers in order, and its shutdown handlers in reverse. It is
 * single-use: an application that has ended cannot be started again.
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
  /** Rejects when a shutdown stops waiting for the startup. */
  readonly #abandoned: Promise<never>
  #abandon!: (error: Error) => void
  readonly #shutdownRunner: ShutdownRunner
  readonly #startup = new SingleFlight<void>()
  readonly #stop = new SingleFlight<Error[]>()
  #ignoreSignals: (() => void) | undefined
  #runningSinceMs: number | undefined
  #endedAtMs: number | undefined
  /** Settles when the startup handlers have run. */
  #starting: Promise<void> = Promise.resolve()

  /** @param events is the bus of a runtime; by default the manager creates its own. */
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
        if (event.subject === subject) announcer.emit('transition', transitionOf(event))
      },
    })
    this.#shutdownRunner = new ShutdownRunner(clock, this.#handlers, this.logger)
    this.#health = new HealthMonitor(clock, this.#machine, () => this.uptimeSeconds)
    this.#abandoned = new Promise((_, reject) => {
      this.#abandon = reject
    })
    this.#abandoned.catch(() => undefined)
  }

  /** Current state of the application. */
  get state(): LifecycleState {
    return this.#machine.state
  }

  /** True in the state `running`. */
  get isRunning(): boolean {
    return this.#machine.is('running')
  }

  /** Seconds from the end of the startup to the end of the shutdown, or to now; 0 before the startup has ended. */
  get uptimeSeconds(): number {
    if (this.#runningSinceMs === undefined) return 0
    return ((this.#endedAtMs ?? this.#clock.now()) - this.#runningSinceMs) / 1_000
  }

  /**
   * Adds a handler that runs at `startup()`, in the order of addition, but after the handlers in `dependsOn`.
   * @throws ERR_INVALID_OPTIONS, also after the startup has begun
   */
  addStartupHandler(handler: LifecycleHandler, options: StartupOptions = {}): void {
    if (!this.#machine.is('uninitialized')) {
      throw new errors.ERR_INVALID_OPTIONS(
        `addStartupHandler: the startup has begun (${this.state}); add handlers before startup(). A runtime starts in createRuntime; to run handlers before it, create the runtime in a startup handler of your own LifecycleManager`,
      )
    }
    this.#handlers.addStartup(handler, options)
  }

  /**
   * Adds a handler that runs at `shutdown()`, by phase and within a phase in reverse order of the startup. If a startup
   * handler has the same name, this handler undoes it and runs only if it completed.
   * @throws ERR_INVALID_OPTIONS, also after the shutdown has begun
   */
  addShutdownHandler(handler: LifecycleHandler, options: ShutdownOptions = {}): void {
    this.addShutdownStep(handler, options)
  }

  /** Adds a shutdown step of this library, with its own timing. @internal */
  addShutdownStep(handler: LifecycleHandler, options: ShutdownOptions, timing?: StepTiming): void {
    if (this.#machine.is('stopping', 'stopped', 'error')) {
      throw new errors.ERR_INVALID_OPTIONS(
        `addShutdownHandler: the shutdown has begun (${this.state}); add handlers before it`,
      )
    }
    this.#handlers.addShutdown(handler, options, timing)
  }

  /** Adds a health check. @throws ERR_INVALID_OPTIONS if the name is taken or an option is invalid */
  addHealthCheck(name: string, check: HealthCheck, options: HealthCheckOptions = {}): void {
    if (this.#machine.is('stopped', 'error')) {
      throw new errors.ERR_INVALID_OPTIONS(`addHealthCheck: the application has ended (${this.state})`)
    }
    this.#scope.runInAsyncScope(() => this.#health.add(name, check, options))
  }

  /** Runs every health check and resolves with the results; never rejects. */
  healthCheck(): Promise<HealthReport> {
    return this.#scope.runInAsyncScope(() => this.#health.report())
  }

  /**
   * Runs the startup handlers; resolves when the application is `running`. If a handler fails, the shutdown handlers
   * undo those that have completed, and the state is `error`. All calls share the outcome of the first.
   * @throws ERR_STARTUP, whose `cause` is the failure; ERR_INVALID_OPTIONS for dependencies that cannot be met
   */
  startup(): Promise<void> {
    if (this.#runningSinceMs !== undefined && !this.isRunning) return Promise.reject(this.#startedBefore())
    return this.#startup.run(() => this.#scope.runInAsyncScope(() => this.#start()))
  }

  /**
   * Runs every shutdown handler, also if some fail; the application ends `stopped`, or in `error` if some did. During a
   * startup it aborts the signal of the running handler and waits for that handler, so a handler must not wait for the
   * shutdown itself. It waits for a failed startup that is being undone, which takes `gracefulShutdownTimeoutMs` at
   * most. All calls share the outcome of the first.
   * @param options is the reason, which is the trigger in events and log lines, or an object with the reason and
   * `timeoutMs` (default: `gracefulShutdownTimeoutMs`).
   * @throws ERR_SHUTDOWN, whose `cause` is an AggregateError of all failures
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

  /** Runs a shutdown within `budgetMs`; resolves with its failures. @internal */
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
        // A shutdown is undoing the startup. The caller may exit after this rejection, so it waits for the shutdown.
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
        `startup handler "${name}" did not complete within ${timeoutMs} ms`,
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
        inBackground(this, undone, 'undo of a late startup handler')
        if (cause === timeoutError || cause === signal.reason) throw cause
        if (signal.aborted) throw new errors.ERR_STARTUP(messageOf(signal.reason), { cause })
        throw new errors.ERR_STARTUP(`startup handler "${name}" failed: ${messageOf(cause)}`, { cause })
      }
      this.#shutdownRunner.done.add(name)
    }
  }

  /** Throws if a shutdown has begun meanwhile, for example in a listener. */
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
      // The failed startup undoes the handlers that have completed.
      await this.#startup.promise?.catch(() => undefined)
      return []
    }
    const isStarting = this.#machine.is('initializing')
    this.#machine.to('stopping', reason)
    const message = `the application was shut down during its startup (${reason})`
    this.#stopping.abort(new errors.ERR_STARTUP(message))
    if (isStarting) await this.#settleStartup(this.#shutdownRunner.timeBefore(budgetMs))
    const failures = await this.#shutdownRunner.runAll(endsAtMs, budgetMs)
    if (failures.length === 0) this.#finish('stopped', reason)
    else this.#finish('error', reason, shutdownError(failures))
    return failures
  }

  /** Waits for the running startup handler. After `timeoutMs` it is abandoned, and undone if it completes later. */
  async #settleStartup(timeoutMs: number): Promise<void> {
    const settled = this.#starting.then(
      () => true,
      () => true,
    )
    if ((await withTimeout(this.#clock, settled, timeoutMs)) === undefined)
      this.#abandon(this.#stopping.signal.reason)
  }

  /** Logs an uncaught error; on stderr if the log is silent, since a crash must leave a trace. @internal */
  reportFatal(error: unknown): void {
    this.logger.fatal({ err: error }, 'uncaught error; exiting')
    if (this.#isSilent) process.stderr.write(`Uncaught ${inspect(error)}\n`)
  }

  #startedBefore(): Error {
    return new errors.ERR_STARTUP(
      `the application is ${this.state} and cannot be started again; create another LifecycleManager`,
    )
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
