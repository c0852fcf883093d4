import type { Clock, Timer } from '../platform/clock.js'

/**
 * Resolves with the promise's value, or with undefined once `timeoutMs` have passed; rejects as the promise does.
 * With `isIdle` the timeout does not keep the process alive.
 */
export async function withTimeout<T>(
  clock: Clock,
  promise: Promise<T>,
  timeoutMs: number,
  isIdle = false,
): Promise<T | undefined> {
  let timer: Timer | undefined
  const timeout = new Promise<undefined>((resolve) => {
    timer = clock.setTimeout(() => resolve(undefined), timeoutMs)
    if (isIdle) timer.unref()
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clock.clear(timer)
  }
}
