import { z } from 'zod'
import { withTimeout } from '../../async/with-timeout.js'
import { durationMs } from '../../config/runtime-options.js'
import { messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'

/** Result of a check; `degraded` means that it works in part, so that the application stays ready. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy'

/** Detailed result that a health check may return. */
export interface HealthAnswer {
  readonly status: HealthStatus
  /** The reason for a status other than `healthy`. */
  readonly reason?: string | undefined
  /** Additional data for the report. */
  readonly detail?: unknown
}

/**
 * A health check. It is unhealthy if it throws, or returns or resolves with `false` or an error. It may also return or
 * resolve with a `HealthAnswer`; any other value means healthy. `signal` aborts at its time limit.
 */
export type HealthCheck = (context: { signal: AbortSignal }) => unknown

export const healthCheckOptionsSchema = z.strictObject({
  critical: z
    .boolean()
    .default(true)
    .describe('if true, the application is not ready while the check fails; else it is degraded'),
  timeoutMs: durationMs.min(1).default(5_000).describe('time limit; a check that exceeds it is unhealthy'),
  intervalMs: durationMs
    .default(0)
    .describe(
      'interval at which the check runs, so that a report has its last result; 0 runs it for each report',
    ),
  affects: z
    .enum(['readiness', 'liveness'])
    .default('readiness')
    .describe(
      'what a failing critical check clears: `isReady` only, or `isLive` too, so that the process is restarted',
    ),
})

/** Options of `addHealthCheck`. */
export type HealthCheckOptions = z.input<typeof healthCheckOptionsSchema>

/** The last result of one check. */
export interface CheckReport {
  readonly status: HealthStatus
  /** The option `critical` of the check. */
  readonly critical: boolean
  /** The option `affects` of the check. */
  readonly affects: 'readiness' | 'liveness'
  /** Duration of the check. */
  readonly durationMs: number
  /** Time of the check, in milliseconds since the epoch. */
  readonly checkedAt: number
  /** Time since which the check has had this status, in milliseconds since the epoch. */
  readonly since: number
  /** The reason for a status other than `healthy`. */
  readonly reason: string | undefined
  /** The last result other than `healthy`, also after the check is healthy again. */
  readonly lastError: { readonly reason: string; readonly at: number } | undefined
  /** Additional data from the check. */
  readonly detail: unknown
}

/** A registered check. It never runs twice at the same time, and is unhealthy while a run hangs. */
export class RegisteredCheck {
  readonly #clock: Clock
  readonly #check: HealthCheck
  readonly #options: z.output<typeof healthCheckOptionsSchema>
  #last: CheckReport | undefined
  #running: Promise<CheckReport> | undefined
  /** Start of a run that exceeded its time limit and has not returned, by `Clock.now`. */
  #hangingSinceMs: number | undefined
  #timer: Timer | undefined

  constructor(clock: Clock, check: HealthCheck, options: z.output<typeof healthCheckOptionsSchema>) {
    this.#clock = clock
    this.#check = check
    this.#options = options
    if (options.intervalMs === 0) return
    this.#timer = clock.setInterval(() => void this.run(), options.intervalMs)
    this.#timer.unref()
  }

  stop(): void {
    this.#clock.clear(this.#timer)
    this.#timer = undefined
  }

  /** Resolves with the last result of a check that runs at an interval, or else with a new one. */
  report(): Promise<CheckReport> {
    if (this.#timer !== undefined && this.#last !== undefined) return Promise.resolve(this.#last)
    return this.run()
  }

  run(): Promise<CheckReport> {
    // It starts in a microtask, so that a check which requests a report itself gets this promise.
    this.#running ??= Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }

  async #run(): Promise<CheckReport> {
    const startedAtMs = this.#clock.now()
    const result = this.#hangingSinceMs === undefined ? await this.#invoke(startedAtMs) : this.#hanging()
    const now = this.#clock.epoch()
    const { critical, affects } = this.#options
    const { status, reason, detail } = result
    const report: CheckReport = {
      status,
      critical,
      affects,
      durationMs: this.#clock.now() - startedAtMs,
      checkedAt: now,
      since: this.#last?.status === status ? this.#last.since : now,
      reason,
      lastError: status === 'healthy' ? this.#last?.lastError : { reason: reason ?? 'unknown', at: now },
      detail,
    }
    this.#last = report
    return report
  }

  async #invoke(startedAtMs: number): Promise<HealthAnswer> {
    const controller = new AbortController()
    const pending = (async () => healthAnswerOf(await this.#check({ signal: controller.signal })))().catch(
      (error: unknown): HealthAnswer => ({
        status: 'unhealthy',
        reason: messageOf(error),
      }),
    )
    // A check that runs at an interval must not keep the process alive.
    const result = await withTimeout(this.#clock, pending, this.#options.timeoutMs, this.#timer !== undefined)
    if (result !== undefined) return result
    // The check does not run again before it returns, since hanging runs would pile up.
    this.#hangingSinceMs = startedAtMs
    void pending.then(() => {
      this.#hangingSinceMs = undefined
    })
    controller.abort()
    return this.#hanging()
  }

  #hanging(): HealthAnswer {
    const sinceMs = Math.round(this.#clock.now() - (this.#hangingSinceMs ?? 0))
    return { status: 'unhealthy', reason: `the check has not returned for ${sinceMs} ms` }
  }
}

/** Returns a result with `status` and the problems as its reason, or a healthy one if there are no problems. */
export function healthOf(
  problems: readonly string[],
  detail: unknown,
  status: HealthStatus = 'unhealthy',
): HealthAnswer {
  if (problems.length === 0) return { status: 'healthy', detail }
  return { status, reason: problems.join('; '), detail }
}

/** Converts the value that a check returned; any value that does not say otherwise is healthy. */
export function healthAnswerOf(answer: unknown): HealthAnswer {
  if (answer === false) return { status: 'unhealthy', reason: 'it returned false' }
  if (answer instanceof Error) return { status: 'unhealthy', reason: answer.message }
  const { status, reason, detail } = (answer ?? {}) as Partial<HealthAnswer>
  if (status === 'unhealthy' || status === 'degraded')
    return { status, reason: reason ?? 'it returned no reason', detail }
  return status === 'healthy' ? { status, detail } : { status: 'healthy' }
}
