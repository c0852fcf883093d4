import { inspect } from 'node:util'
import { parseOptions } from '../../config/parse-options.js'
import { errors } from '../../errors/errors.js'
import type { Clock } from '../../platform/clock.js'
import type { LifecycleState } from '../../state/lifecycle-state.js'
import {
  type CheckReport,
  type HealthCheck,
  type HealthCheckOptions,
  healthCheckOptionsSchema,
  RegisteredCheck,
} from './health-check.js'

export type {
  CheckReport,
  HealthAnswer,
  HealthCheck,
  HealthCheckOptions,
  HealthStatus,
} from './health-check.js'

/** Health of the application. */
export interface HealthReport {
  /**
   * `unhealthy` while a critical check fails or the application is not running; `degraded` while another check fails
   * or any check is degraded.
   */
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  /** False if the process should restart: in the state `error`, or while a critical check of its liveness fails. */
  readonly isLive: boolean
  /** True if the application can take requests: it is running, and no critical check fails. */
  readonly isReady: boolean
  /** State of the application. */
  readonly state: LifecycleState
  /** Seconds since the end of the startup. */
  readonly uptimeSeconds: number
  /** Time of the report, in milliseconds since the epoch. */
  readonly checkedAt: number
  /** Results of all checks, by name. */
  readonly checks: Readonly<Record<string, CheckReport>>
}

/** The health checks of an application. */
export class HealthMonitor {
  readonly #clock: Clock
  readonly #machine: { readonly state: LifecycleState }
  readonly #uptimeSeconds: () => number
  readonly #checks = new Map<string, RegisteredCheck>()

  constructor(clock: Clock, machine: { readonly state: LifecycleState }, uptimeSeconds: () => number) {
    this.#clock = clock
    this.#machine = machine
    this.#uptimeSeconds = uptimeSeconds
  }

  /** Adds a check. @throws ERR_INVALID_OPTIONS */
  add(name: string, check: HealthCheck, options: HealthCheckOptions): void {
    const parsed = parseOptions(healthCheckOptionsSchema, options, 'addHealthCheck')
    if (typeof name !== 'string' || name === '') {
      throw new errors.ERR_INVALID_OPTIONS(
        `addHealthCheck: the name must be a non-empty string, not ${inspect(name)}`,
      )
    }
    if (typeof check !== 'function') {
      throw new errors.ERR_INVALID_OPTIONS(
        `addHealthCheck: the check "${name}" must be a function, not ${inspect(check)}`,
      )
    }
    if (this.#checks.has(name)) {
      throw new errors.ERR_INVALID_OPTIONS(
        `addHealthCheck: there is a check named "${name}" already; use another name`,
      )
    }
    this.#checks.set(name, new RegisteredCheck(this.#clock, check, parsed))
  }

  /** Stops the checks that run at an interval. */
  stop(): void {
    for (const check of this.#checks.values()) check.stop()
  }

  /** Resolves with the results of all checks; never rejects. */
  async report(): Promise<HealthReport> {
    const entries = await Promise.all(
      [...this.#checks].map(async ([name, check]) => [name, await check.report()] as const),
    )
    const impaired = entries.map(([, report]) => report).filter(({ status }) => status !== 'healthy')
    const critical = impaired.filter((report) => report.critical && report.status === 'unhealthy')
    const { state } = this.#machine
    const isLive = state !== 'error' && critical.every(({ affects }) => affects !== 'liveness')
    const isReady = state === 'running' && critical.length === 0
    return {
      status: isReady ? (impaired.length === 0 ? 'healthy' : 'degraded') : 'unhealthy',
      isLive,
      isReady,
      state,
      uptimeSeconds: this.#uptimeSeconds(),
      checkedAt: this.#clock.epoch(),
      checks: Object.fromEntries(entries),
    }
  }
}
