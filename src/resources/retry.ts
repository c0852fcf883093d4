import { untilAborted } from '../async/until-aborted.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type { RetryPolicy } from './resource-options.js'

/**
 * Returns the wait after a number of failures, in milliseconds: a random value from 0 to a growing bound, so
 * that clients that failed together do not retry together. `random` is from 0 to 1. This is the "full jitter"
 * of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function retryDelayMs(policy: RetryPolicy, failures: number, random: number): number {
  return random * Math.min(policy.maxDelayMs, policy.minDelayMs * policy.factor ** (failures - 1))
}

/** Sources of time and random numbers for the waits. */
export interface RetryPorts {
  readonly clock: Clock
  readonly random: Random
}

/**
 * Calls `attempt` until it succeeds or the policy's attempts are spent; then rejects with the last error. An
 * abort ends a wait at once; an attempt must observe the signal itself.
 */
export async function retry<T>(
  { clock, random }: RetryPorts,
  attempt: () => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal,
  onFailure: (error: unknown, failures: number, delayMs: number) => void,
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted || failures >= policy.attempts) throw error
      const delayMs = retryDelayMs(policy, failures, random())
      onFailure(error, failures, delayMs)
      await pause(clock, delayMs, signal)
    }
  }
}

async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  let timer: Timer | undefined
  try {
    await untilAborted(
      signal,
      () =>
        new Promise((resolve) => {
          timer = clock.setTimeout(() => resolve(undefined), delayMs)
        }),
    )
  } finally {
    clock.clear(timer)
  }
}
