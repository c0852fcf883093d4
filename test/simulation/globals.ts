import timers from 'node:timers'
import type { Timer } from '../../src/platform/clock.js'
import type { Random } from './random.js'
import type { SimulatedClock } from './simulated-clock.js'

const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis
const { clearInterval: clearOfModule } = timers
const { random } = Math
const { timeout } = AbortSignal

type Run = (...args: unknown[]) => void

/**
 * Replaces the time and chance that code reads without a port by those of a simulation: the timers of
 * packages (tarn), `AbortSignal.timeout` and `Math.random`. Returns a function that restores the real ones.
 */
export function replaceGlobals(clock: SimulatedClock, chance: Random): () => void {
  const add =
    (repeats: boolean) =>
    (run: Run, ms = 0, ...args: unknown[]) =>
      clock.addForeign(() => run(...args), ms, repeats)
  const clear = (timer: unknown): void => clock.clear(timer as Timer | undefined)
  Object.assign(globalThis, {
    setTimeout: add(false),
    setInterval: add(true),
    clearTimeout: clear,
    clearInterval: clear,
  })
  timers.clearInterval = clear
  Math.random = () => chance.next()
  AbortSignal.timeout = (ms) => {
    const controller = new AbortController()
    const late = new DOMException('The operation was aborted due to timeout', 'TimeoutError')
    clock.addForeign(() => controller.abort(late), ms, false)
    return controller.signal
  }
  return () => {
    Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval })
    timers.clearInterval = clearOfModule
    Math.random = random
    AbortSignal.timeout = timeout
  }
}
