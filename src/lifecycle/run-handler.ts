import { MAX_TIMER_MS } from '../config/runtime-options.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { LifecycleHandler } from './handlers.js'

/** A call of a handler. */
export interface HandlerRun {
  /** Settles with the handler, or rejects at its time limit. */
  readonly outcome: Promise<void>
  /** Resolves when the handler settles, even after its limit: with true if it succeeded. Never rejects. */
  readonly settled: Promise<boolean>
  /** Stops the timer of the limit, once no caller awaits the outcome. */
  abandon(): void
}

/**
 * Calls `run` with a signal. After `timeoutMs` (plus `windUpMs`) the signal aborts and the outcome rejects with
 * `timeoutError`; undefined means no limit. If `stop` aborts, the signal does too, as a hint to the handler.
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
