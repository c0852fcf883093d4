import { messageOf } from '../errors/errors.js'
import { healthAnswerOf } from '../lifecycle/health/health-check.js'
import type { Clock } from '../platform/clock.js'
import type { Held, ManagedResource, ResourceHealth } from './managed-resource.js'

type Outcome = Pick<ResourceHealth, 'status' | 'error' | 'cause'>

const HEALTHY: Outcome = { status: 'healthy' }

/**
 * Runs the health checker of a resource. Callers share a check that has not returned. Once it has run for
 * `limitMs`, the resource is reported as unhealthy; the checker is not called again before it returns.
 */
export async function checkHealth(
  clock: Clock,
  resource: ManagedResource,
  limitMs: number,
): Promise<ResourceHealth> {
  const { held, machine, name } = resource
  if (held === undefined || !machine.is('running')) {
    const { cause } = machine
    const error = `it is ${machine.state}${cause === undefined ? '' : `: ${messageOf(cause)}`}`
    return report(clock, name, clock.now(), { status: 'unhealthy', error, cause })
  }
  if (held.type.healthChecker === undefined) return report(clock, name, clock.now(), HEALTHY)
  const { check } = held
  if (check === undefined) return startCheck(clock, name, held, limitMs)
  const isOverdue = clock.now() - check.startedAtMs >= limitMs
  return isOverdue ? report(clock, name, check.startedAtMs, hanging(clock, check.startedAtMs)) : check.report
}

function startCheck(clock: Clock, name: string, held: Held, limitMs: number): Promise<ResourceHealth> {
  const startedAtMs = clock.now()
  const controller = new AbortController()
  const checked = runChecker(name, held, controller.signal).then((outcome) => {
    held.check = undefined
    return report(clock, name, startedAtMs, outcome)
  })
  const limited = new Promise<ResourceHealth>((resolve) => {
    const timer = clock.setTimeout(() => {
      controller.abort()
      resolve(report(clock, name, startedAtMs, hanging(clock, startedAtMs)))
    }, limitMs)
    void checked.then((health) => {
      clock.clear(timer)
      resolve(health)
    })
  })
  held.check = { startedAtMs, report: limited }
  return limited
}

async function runChecker(name: string, { type, value }: Held, signal: AbortSignal): Promise<Outcome> {
  try {
    const { status, reason } = healthAnswerOf(await type.healthChecker?.(value, { name, signal }))
    if (status === 'healthy') return HEALTHY
    const what = status === 'degraded' ? 'it is degraded' : 'its health check failed'
    return { status, error: `${what}: ${reason}` }
  } catch (cause) {
    return { status: 'unhealthy', error: messageOf(cause), cause }
  }
}

function hanging(clock: Clock, startedAtMs: number): Outcome {
  const elapsedMs = Math.round(clock.now() - startedAtMs)
  return { status: 'unhealthy', error: `its health check has not returned for ${elapsedMs} ms` }
}

function report(
  clock: Clock,
  name: string,
  startedAtMs: number,
  { status, error, cause }: Outcome,
): ResourceHealth {
  return {
    name,
    status,
    durationMs: clock.now() - startedAtMs,
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
    checkedAt: clock.epoch(),
  }
}
