import type { Clock } from '../platform/clock.js'

/**
 * Settles as `work` does, or rejects with the signal's reason as soon as the signal aborts. An abort ends only the
 * waiting: `abandon` receives the promise of the work that goes on.
 */
export function untilAborted<T>(
  signal: AbortSignal,
  work: () => T | PromiseLike<T>,
  abandon?: (working: Promise<T>) => void,
): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const working = (async () => work())()
    const onAbort = (): void => {
      reject(signal.reason)
      abandon?.(working)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    // The listener is removed in the callback that settles, so that an outcome goes to the caller or to `abandon`,
    // never to both.
    const stopListening = (): void => signal.removeEventListener('abort', onAbort)
    working.then(
      (value) => {
        stopListening()
        resolve(value)
      },
      (error) => {
        stopListening()
        reject(error)
      },
    )
  })
}

/**
 * Settles as `work` does, or rejects with the error of `lateError` once `limitMs` have passed. Aborting `controller` ends
 * the waiting earlier.
 */
export async function withLimit<T>(
  clock: Clock,
  limitMs: number,
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  lateError: () => Error,
  abandon?: (working: Promise<T>) => void,
  controller: AbortController = new AbortController(),
): Promise<T> {
  const timer = clock.setTimeout(() => controller.abort(lateError()), limitMs)
  try {
    return await untilAborted(controller.signal, () => work(controller.signal), abandon)
  } finally {
    clock.clear(timer)
  }
}
