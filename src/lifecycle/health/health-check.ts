import { z } from 'zod'
import { withTimeout } from '../../async/with-timeout.js'
import { durationMs } from '../../config/runtime-options.js'
import { messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'

/** `degraded`: it works in part, so the application stays ready. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy'

/** What a check may answer in so many words. */
export interface HealthAnswer {
  readonly status: HealthStatus
  /** The reason why it is not healthy. */
  readonly reason?: string | undefined
  /** Whatever else there is to say. */
  readonly detail?: unknown
}

/**
 * A check is unhealthy if it throws, or answers with `false`, an error or a `HealthAnswer` that says so; it
 * is degraded if it answers with one that says that.
 */
export type HealthCheck = (context: { signal: AbortSignal }) => unknown

export const healthCheckOptionsSchema = z.strictObject({
  critical: z
    .boolean()
    .default(true)
    .describe('whether the application is not ready while it fails; otherwise it is degraded'),
  timeoutMs: durationMs.min(1).default(5_000).describe('a check that takes longer has failed'),
  intervalMs: durationMs
    .default(0)
    .describe('it runs by itself that often, and a report has the last result; 0 runs it for each report'),
  affects: z
    .enum(['readiness', 'liveness'])
    .default('readiness')
    .describe(
      'what a critical check tells about: whether requests should come, or whether the process should go on',
    ),
})

export type HealthCheckOptions = z.input<typeof healthCheckOptionsSchema>

/** The last result of one check. */
export interface CheckReport {
  readonly status: HealthStatus
  readonly critical: boolean
  readonly affects: 'readiness' | 'liveness'
  /** How long the check took, in milliseconds. */
  readonly durationMs: number
  /** Milliseconds since the epoch. */
  readonly checkedAt: number
  /** Since when the status is what it is, in milliseconds since the epoch. */
  readonly since: number
  /** The reason why it is not healthy. */
  readonly reason: string | undefined
  /** The last failure, also when it is healthy again. */
  readonly lastError: { readonly reason: string; readonly at: number } | undefined
  /** What the check had to say beside that. */
  readonly detail: unknown
}

/** One check: never run twice at the same time, and failed as long as it hangs. */
export class RegisteredCheck {
  readonly #clock: Clock
  readonly #check: HealthCheck
  readonly #options: z.output<typeof healthCheckOptionsSchema>
  #last: CheckReport | undefined
  #running: Promise<CheckReport> | undefined
  /** Of a run that does not return. */
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

  /** The last result where the check runs by itself, else a new one. */
  report(): Promise<CheckReport> {
    if (this.#timer !== undefined && this.#last !== undefined) return Promise.resolve(this.#last)
    return this.run()
  }

  run(): Promise<CheckReport> {
    // In a turn of its own, so that a check which asks for a report gets this promise.
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
    // A check that runs by itself must not keep the process alive.
    const result = await withTimeout(this.#clock, pending, this.#options.timeoutMs, this.#timer !== undefined)
    if (result !== undefined) return result
    // Not asked again before it returns: checks that hang would pile up.
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

/** Returns `status` if there are problems, with the problems as the reason. */
export function healthOf(
  problems: readonly string[],
  detail: unknown,
  status: HealthStatus = 'unhealthy',
): HealthAnswer {
  if (problems.length === 0) return { status: 'healthy', detail }
  return { status, reason: problems.join('; '), detail }
}

/** Reads what a check answered with: everything that does not say otherwise is healthy. */
export function healthAnswerOf(answer: unknown): HealthAnswer {
  if (answer === false) return { status: 'unhealthy', reason: 'it answered false' }
  if (answer instanceof Error) return { status: 'unhealthy', reason: answer.message }
  const { status, reason, detail } = (answer ?? {}) as Partial<HealthAnswer>
  if (status === 'unhealthy' || status === 'degraded')
    return { status, reason: reason ?? 'it says so', detail }
  return status === 'healthy' ? { status, detail } : { status: 'healthy' }
}
