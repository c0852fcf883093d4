import { LifecycleManager, type LifecycleManagerOptions } from '../../src/lifecycle/lifecycle-manager.js'
import type { Logger } from '../../src/telemetry/logger.js'
import { testLogger } from './test-logger.js'

/** A promise and its ends. */
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

/** A logger that keeps its lines. */
export function recordingLogger(lines: string[] = []): Logger & { readonly lines: string[] } {
  return { lines, ...testLogger(({ level, message }) => void lines.push(`${level} ${message}`)) }
}

/** A manager that says nothing and leaves signals alone. */
export function quietManager(options: LifecycleManagerOptions = {}): LifecycleManager {
  return new LifecycleManager({ handleSignals: false, logger: recordingLogger(), ...options })
}

/** Every state it goes through, with what asked for it. */
export function movesOf(manager: LifecycleManager): string[] {
  const moves: string[] = []
  manager.on('transition', ({ to, trigger }) => moves.push(`${to} (${trigger})`))
  return moves
}

/** How a promise has ended, once everything has happened that waits for nothing. */
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
