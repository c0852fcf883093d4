import { inspect } from 'node:util'
import { z } from 'zod'
import { parseOptions } from '../config/parse-options.js'
import { durationMs } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import type { Step } from './order-steps.js'

/** Argument of startup and shutdown handlers. */
export interface HandlerContext {
  /** Aborts at the time limit of the handler, and for a startup handler also when a shutdown begins. */
  readonly signal: AbortSignal
  /** Time limit of the handler, in milliseconds; undefined means no limit. */
  readonly timeoutMs: number | undefined
}

/** A startup or shutdown handler. A promise that it returns is awaited; a rejection is a failure. */
export type LifecycleHandler = (context: HandlerContext) => unknown

/** The phases of a shutdown, in order. Handlers of an application run in `resources` by default. */
export const SHUTDOWN_PHASES = ['readiness', 'admission', 'drain', 'resources', 'telemetry'] as const
/** A phase of a shutdown. */
export type ShutdownPhase = (typeof SHUTDOWN_PHASES)[number]

const handlerName = z.string().min(1)

const startupOptionsSchema = z.strictObject({
  /** Name for errors and `dependsOn`. Default: the name of the function. */
  name: handlerName.optional(),
  /** Time limit in milliseconds, after which the startup fails. Default: none. */
  timeoutMs: durationMs.min(1).optional(),
  /** Names of startup handlers that must complete before this one runs. */
  dependsOn: z.array(handlerName).default([]),
})

const shutdownOptionsSchema = z.strictObject({
  /** Name for errors. If a startup handler has the same name, this handler undoes it and runs only if it completed. */
  name: handlerName.optional(),
  /** Time limit in milliseconds. Default: the budget of the shutdown. */
  timeoutMs: durationMs.min(1).optional(),
  /** Phase of the shutdown in which it runs. Default: `resources`. */
  phase: z.enum(SHUTDOWN_PHASES).default('resources'),
})

/** Options of `addStartupHandler`. */
export type StartupOptions = z.input<typeof startupOptionsSchema>
/** Options of `addShutdownHandler`. */
export type ShutdownOptions = z.input<typeof shutdownOptionsSchema>

/** A registered startup handler. */
export interface StartupHandler extends Step {
  /** Position among all registrations, including shutdown handlers. */
  readonly place: number
  readonly run: LifecycleHandler
  readonly timeoutMs: number | undefined
}

/** A registered shutdown handler. */
export interface ShutdownHandler {
  readonly name: string
  /** Name of the startup handler that it undoes, if there is one of that name. */
  readonly undoes: string | undefined
  readonly run: LifecycleHandler
  readonly timeoutMs: number | undefined
  readonly phase: ShutdownPhase
  readonly timing: StepTiming
  /** Position among all registrations, including startup handlers. */
  readonly place: number
}

/** Timing of the library's own shutdown steps; handlers of an application have none. */
export interface StepTiming {
  /** Returns false if the step needs no time, so that earlier handlers need not reserve any for it. */
  readonly isNeeded?: () => boolean
  /** Additional time to end, in milliseconds, for a step that enforces its limit itself. */
  readonly windUpMs?: number
}

/** The handlers of an application, in order of registration. */
export class Handlers {
  readonly startup: StartupHandler[] = []
  readonly shutdown: ShutdownHandler[] = []
  #registered = 0

  addStartup(run: LifecycleHandler, options: StartupOptions): void {
    const {
      name: explicitName,
      dependsOn,
      timeoutMs,
    } = parseOptions(startupOptionsSchema, options, 'addStartupHandler')
    const place = this.#next('addStartupHandler', run)
    const name = explicitName ?? nameOf(run, `startup handler ${place}`, this.startup)
    refuseDuplicate('addStartupHandler', name, this.startup)
    this.startup.push({ name, run, dependsOn, timeoutMs, place })
  }

  addShutdown(run: LifecycleHandler, options: ShutdownOptions, timing: StepTiming = {}): void {
    const {
      name: explicitName,
      phase,
      timeoutMs,
    } = parseOptions(shutdownOptionsSchema, options, 'addShutdownHandler')
    const place = this.#next('addShutdownHandler', run)
    // Only an explicit name pairs it with a startup handler.
    const name = explicitName ?? nameOf(run, `shutdown handler ${place}`, [...this.startup, ...this.shutdown])
    refuseDuplicate('addShutdownHandler', name, this.shutdown)
    this.shutdown.push({ name, undoes: explicitName, run, phase, timeoutMs, timing, place })
  }

  #next(method: string, run: unknown): number {
    if (typeof run !== 'function') {
      throw new errors.ERR_INVALID_OPTIONS(`${method}: the handler must be a function, not ${inspect(run)}`)
    }
    this.#registered += 1
    return this.#registered
  }
}

/** Returns the name of the function, or `fallback` if it has none or the name is taken. */
function nameOf(run: LifecycleHandler, fallback: string, taken: readonly { name: string }[]): string {
  if (run.name === '' || taken.some((handler) => handler.name === run.name)) return fallback
  return run.name
}

function refuseDuplicate(method: string, name: string, taken: readonly { name: string }[]): void {
  if (!taken.some((handler) => handler.name === name)) return
  throw new errors.ERR_INVALID_OPTIONS(
    `${method}: there is a handler named "${name}" already; use another name`,
  )
}
