import { messageOf } from '../errors.js'
import { healthAnswerOf } from '../lifecycle/health-check.js'
import type { Held, ManagedResource, ResourceHealth } from './managed-resource.js'

type Outcome = Pick<ResourceHealth, 'status' | 'error' | 'cause'>

const HEALTHY: Outcome = { status: 'healthy' }

/**
 * Asks the health checker of a resource. All who ask while it has not returned share its
 * answer, and past `limitMs` hear that it hangs; it is not called again before it returns.
 */
export async function checkHealth(resource: ManagedResource, limitMs: number): Promise<ResourceHealth> {
  const { held, machine, name } = resource
  if (held === undefined || !machine.is('running')) {
    const { cause } = machine
    const error = `it is ${machine.state}${cause === undefined ? '' : `: ${messageOf(cause)}`}`
    return report(name, performance.now(), { status: 'unhealthy', error, cause })
  }
  if (held.type.healthChecker === undefined) return report(name, performance.now(), HEALTHY)
  const { check } = held
  if (check === undefined) return startCheck(name, held, limitMs)
  const isOverdue = performance.now() - check.startedAtMs >= limitMs
  return isOverdue ? report(name, check.startedAtMs, hanging(check.startedAtMs)) : check.report
}

function startCheck(name: string, held: Held, limitMs: number): Promise<ResourceHealth> {
  const startedAtMs = performance.now()
  const controller = new AbortController()
  const found = ask(name, held, controller.signal).then((outcome) => {
    held.check = undefined
    return report(name, startedAtMs, outcome)
  })
  const answer = new Promise<ResourceHealth>((resolve) => {
    const timer = setTimeout(() => {
      controller.abort()
      resolve(report(name, startedAtMs, hanging(startedAtMs)))
    }, limitMs)
    void found.then((health) => {
      clearTimeout(timer)
      resolve(health)
    })
  })
  held.check = { startedAtMs, report: answer }
  return answer
}

async function ask(name: string, { type, value }: Held, signal: AbortSignal): Promise<Outcome> {
  try {
    const { status, reason } = healthAnswerOf(await type.healthChecker?.(value, { name, signal }))
    if (status === 'healthy') return HEALTHY
    const what = status === 'degraded' ? 'it is degraded' : 'its health check failed'
    return { status, error: `${what}: ${reason}` }
  } catch (cause) {
    return { status: 'unhealthy', error: messageOf(cause), cause }
  }
}

function hanging(startedAtMs: number): Outcome {
  const elapsedMs = Math.round(performance.now() - startedAtMs)
  return { status: 'unhealthy', error: `its health check has not returned for ${elapsedMs} ms` }
}

function report(name: string, startedAtMs: number, { status, error, cause }: Outcome): ResourceHealth {
  return {
    name,
    status,
    durationMs: performance.now() - startedAtMs,
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
    checkedAt: Date.now(),
  }
}
