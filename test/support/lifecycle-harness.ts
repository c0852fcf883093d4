import { LifecycleManager, type LifecycleManagerOptions } from '../../src/lifecycle/lifecycle-manager.js'
import type { Logger } from '../../src/telemetry/logger.js'
import { testLogger } from './test-logger.js'

/** A promise with its resolve and reject functions. */
export interface Deferred<T = void> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

export function deferred<T = void>(): Deferred<T> {
  let ends: Omit<Deferred<T>, 'promise'> | undefined
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject }
  })
  return { promise, ...(ends as Omit<Deferred<T>, 'promise'>) }
}

/** Returns a logger that keeps its lines. */
export function recordingLogger(lines: string[] = []): Logger & { readonly lines: string[] } {
  return { lines, ...testLogger(({ level, message }) => void lines.push(`${level} ${message}`)) }
}

/** Returns a manager that logs nothing and does not handle signals. */
export function quietManager(options: LifecycleManagerOptions = {}): LifecycleManager {
  return new LifecycleManager({ handleSignals: false, logger: recordingLogger(), ...options })
}

/** Returns a live list of the states that the manager enters, with the trigger of each. */
export function movesOf(manager: LifecycleManager): string[] {
  const moves: string[] = []
  manager.on('transition', ({ to, trigger }) => moves.push(`${to} (${trigger})`))
  return moves
}

/** Returns the outcome of a promise, which is updated when the promise settles. */
export function watch(promise: Promise<unknown>): { outcome: 'open' | 'done' | 'failed'; error: unknown } {
  const seen: { outcome: 'open' | 'done' | 'failed'; error: unknown } = { outcome: 'open', error: undefined }
  promise.then(
    () => {
      seen.outcome = 'done'
    },
    (error: unknown) => {
      seen.outcome = 'failed'
      seen.error = error
    },
  )
  return seen
}
