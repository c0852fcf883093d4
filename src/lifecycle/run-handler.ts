import { MAX_TIMER_MS } from '../config/runtime-options.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { LifecycleHandler } from './handlers.js'

/** A handler that was called. */
export interface HandlerRun {
  /** Settles when the handler does; rejects at its limit. */
  readonly outcome: Promise<void>
  /** Settles, never rejects, when the handler itself does: whether it was done. */
  readonly settled: Promise<boolean>
  /** Nobody waits for the outcome any more. */
  abandon(): void
}

/**
 * Calls `run`. Its signal aborts after `timeoutMs`, when it is not waited for any longer and
 * `late` is the outcome, and when `stop` does, which it may take as a hint.
 */
export function runHandler(
  clock: Clock,
  run: LifecycleHandler,
  timeoutMs: number | undefined,
  timeoutError: Error,
  { stop, windUpMs = 0 }: { stop?: AbortSignal | undefined; windUpMs?: number | undefined } = {},
): HandlerRun {
  const controller = new AbortController()
  const work = (async () => {
    await run({ signal: controller.signal, timeoutMs })
  })()
  const settled = work.then(
    () => true,
    () => false,
  )
  const onStop = (): void => controller.abort(stop?.reason)
  stop?.addEventListener('abort', onStop, { once: true })
  void settled.then(() => stop?.removeEventListener('abort', onStop))
  let timer: Timer | undefined
  const outcome = new Promise<void>((resolve, reject) => {
    const onTimeout = (): void => {
      controller.abort(timeoutError)
      reject(timeoutError)
    }
    timer =
      timeoutMs === undefined
        ? undefined
        : clock.setTimeout(onTimeout, Math.min(timeoutMs + windUpMs, MAX_TIMER_MS))
    work.then(resolve, reject)
    void settled.then(() => clock.clear(timer))
  })
  return { outcome, settled, abandon: () => clock.clear(timer) }
}
