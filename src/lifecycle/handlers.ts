import { inspect } from 'node:util'
import { z } from 'zod'
import { parseOptions } from '../config/parse-options.js'
import { durationMs } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import type { Step } from './order-steps.js'

export interface HandlerContext {
  /** Aborts when nobody waits for the handler any more. */
  readonly signal: AbortSignal
  /** How long the handler is waited for, in milliseconds; undefined is without limit. */
  readonly timeoutMs: number | undefined
}

export type LifecycleHandler = (context: HandlerContext) => unknown

/** The order of a shutdown; handlers of an application belong to `resources` unless they say otherwise. */
export const SHUTDOWN_PHASES = ['readiness', 'admission', 'drain', 'resources', 'telemetry'] as const
export type ShutdownPhase = (typeof SHUTDOWN_PHASES)[number]

const handlerName = z.string().min(1)

const startupOptionsSchema = z.strictObject({
  /** Names it in errors and for `dependsOn`; by default the function's own name. */
  name: handlerName.optional(),
  /** The startup fails when it takes longer; by default there is no limit. */
  timeoutMs: durationMs.min(1).optional(),
  /** Names of startup handlers that have to be done before. */
  dependsOn: z.array(handlerName).default([]),
})

const shutdownOptionsSchema = z.strictObject({
  /** The name of a startup handler makes this its undoing: it runs only if that one has been done. */
  name: handlerName.optional(),
  /** It is not waited for any longer; by default the shutdown's budget is the limit. */
  timeoutMs: durationMs.min(1).optional(),
  phase: z.enum(SHUTDOWN_PHASES).default('resources'),
})

export type StartupOptions = z.input<typeof startupOptionsSchema>
export type ShutdownOptions = z.input<typeof shutdownOptionsSchema>

export interface StartupHandler extends Step {
  /** Place among all registrations, shutdown handlers included. */
  readonly place: number
  readonly run: LifecycleHandler
  readonly timeoutMs: number | undefined
}

export interface ShutdownHandler {
  readonly name: string
  /** Name of the startup handler it belongs to, if there is one of that name. */
  readonly undoes: string | undefined
  readonly run: LifecycleHandler
  readonly timeoutMs: number | undefined
  readonly phase: ShutdownPhase
  readonly timing: StepTiming
  /** Place among all registrations, startup handlers included. */
  readonly place: number
}

/** How a step of this library differs from an application's. */
export interface StepTiming {
  /** Whether it needs any: else nothing is kept for it by the handlers before it. */
  readonly isNeeded?: () => boolean
  /** It keeps its limit by itself and may take this much longer to wind up, in milliseconds. */
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
    // Only a name that was given can pair it with a startup handler.
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

/** Functions may share a name, or have none. */
function nameOf(run: LifecycleHandler, fallback: string, taken: readonly { name: string }[]): string {
  if (run.name === '' || taken.some((handler) => handler.name === run.name)) return fallback
  return run.name
}

function refuseDuplicate(method: string, name: string, taken: readonly { name: string }[]): void {
  if (!taken.some((handler) => handler.name === name)) return
  throw new errors.ERR_INVALID_OPTIONS(
    `${method}: there is a handler named "${name}" already; give another name`,
  )
}
