import type { Clock } from '../platform/clock.js'

/**
 * Settles as `work` does, or rejects with the signal's reason as soon as that aborts. Stop
 * waiting is not stop working: `abandon` is then given the work that goes on.
 */
export function untilAborted<T>(
  signal: AbortSignal,
  work: () => T | PromiseLike<T>,
  abandon?: (working: Promise<T>) => void,
): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const working = (async () => work())()
    const stop = (): void => {
      reject(signal.reason)
      abandon?.(working)
    }
    signal.addEventListener('abort', stop, { once: true })
    // In one callback with the settlement: an outcome goes to the caller or to `abandon`, never to both.
    const letGo = (): void => signal.removeEventListener('abort', stop)
    working.then(
      (value) => {
        letGo()
        resolve(value)
      },
      (error) => {
        letGo()
        reject(error)
      },
    )
  })
}

/** Settles as `work` does, or rejects with the error `late` makes once `limitMs` have passed; `controller` can end it earlier. */
export async function withLimit<T>(
  clock: Clock,
  limitMs: number,
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  late: () => Error,
  abandon?: (working: Promise<T>) => void,
  controller: AbortController = new AbortController(),
): Promise<T> {
  const timer = clock.setTimeout(() => controller.abort(late()), limitMs)
  try {
    return await untilAborted(controller.signal, () => work(controller.signal), abandon)
  } finally {
    clock.clear(timer)
  }
}
