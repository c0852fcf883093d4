import { errors, messageOf } from '../../errors/errors.js'
import type { PoolState } from './pool-life.js'
import type { PoolSettings } from './pool-settings.js'
import type { StuckReplica } from './stuck-replica.js'

const MIN_RETRY_MS = 10

/** Returns the error of an operation on a pool that is not open. */
export function unavailable({ model, version }: PoolSettings, state: PoolState): Error {
  return new errors.ERR_MODEL_UNAVAILABLE(
    `the pool of ${model}@${version} is ${state} and admits no requests`,
    {
      model,
      version,
    },
  )
}

/**
 * Returns the error of a request for which the queue has no room; `backlogMs` is the expected time until the queue is
 * empty.
 */
export function overloaded({ model, version, maxQueue }: PoolSettings, backlogMs: number): Error {
  return new errors.ERR_OVERLOADED(
    `the queue of ${model}@${version} is full (${maxQueue} requests); send fewer requests, add replicas or raise maxQueue`,
    { model, version, retryAfterMs: Math.max(MIN_RETRY_MS, Math.round(backlogMs)) },
  )
}

/** Returns the error of requests whose pool has used up its crash budget. */
export function circuitOpen(settings: PoolSettings, cause: Error): Error {
  const { model, version, crashBudget, crashWindowMs } = settings
  return new errors.ERR_CIRCUIT_OPEN(
    `replicas of ${model}@${version} keep dying, more than ${crashBudget} within ${crashWindowMs} ms; the last one: ${cause.message}`,
    { model, version, cause },
  )
}

/**
 * Returns the error of the requests of a stuck run; `isEnded` is true if its replica was ended instead of
 * quarantined.
 */
export function stuckError({ model, version, runningMs }: StuckReplica, isEnded: boolean): Error {
  const outcome = isEnded ? 'was ended' : 'was quarantined'
  return new errors.ERR_REPLICA_STUCK(
    `a run of ${model}@${version} has not returned for ${Math.round(runningMs)} ms; its replica ${outcome}`,
    { model, version },
  )
}

/**
 * Returns the error of a task without a reply. The failure of a host is reported as the loss of the replica, because
 * it says nothing about the request.
 */
export function lostError({ model, version }: PoolSettings, error: unknown): Error {
  if (error instanceof errors.ERR_REPLICA_EXITED) return error
  const message = `a replica of ${model}@${version} cannot be reached: ${messageOf(error)}`
  return new errors.ERR_REPLICA_EXITED(message, { model, version, cause: error })
}
