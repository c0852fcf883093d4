import { inspect } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { MAX_TIMER_MS } from '../config/runtime-options.js'
import { processWide } from '../platform/process-wide.js'
import type { Logger } from '../telemetry/logger.js'
import type { LifecycleState } from './state-machine.js'

/** The application that a signal shuts down. */
export interface SignalTarget {
  readonly logger: Logger
  /** Time budget of its shutdown, in milliseconds. */
  readonly gracefulShutdownTimeoutMs: number
  /** The state, which is `error` after a failed startup or shutdown. */
  readonly state: LifecycleState
  shutdown(reason: string): Promise<void>
  /** Logs an error that ends the process. */
  reportFatal(error: unknown): void
}

/** The signals that shut the process down. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const
/**
 * The signals of which a single Ctrl-C can send several: the terminal signals the whole process group, and a parent
 * such as `node --watch`, tsx or npm forwards its own signal.
 */
const REPEATED_SIGNALS: readonly string[] = ['SIGTERM', 'SIGINT']
/** Time after the first signal within which a repeated one counts as the same. */
const REPEAT_MS = 500

/**
 * The events that close-with-grace must not handle. A handler for a fault would run in a broken process, and for a
 * fault in a worker it never runs, so that the process hangs instead of exiting. SIGUSR2 is used by others (nodemon,
 * heap snapshots). The signals of a shutdown and `beforeExit` are handled in this file, because close-with-grace exits
 * at every second signal, and with code 0 whatever `process.exitCode` is.
 */
const SKIPPED: closeWithGrace.AllEvents[] = [
  ...SIGNALS,
  'SIGSEGV',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGABRT',
  'SIGTRAP',
  'SIGUSR2',
  'beforeExit',
]
/** Time beyond the budget of a shutdown after which the process exits in any case; normally the budget is kept. */
const SPARE_MS = 5_000

/** The state that all applications of a process share, so that the first to shut down does not exit under the others. */
interface SignalState {
  readonly handled: Set<SignalTarget>
  uninstall: (() => void) | undefined
  isEnding: boolean
}

function sharedState(): SignalState {
  return processWide('signals', () => ({ handled: new Set(), uninstall: undefined, isEnding: false }))
}

/**
 * Shuts `target` down at SIGTERM, SIGINT, SIGHUP, SIGQUIT, an uncaught exception or an unhandled rejection, and then
 * exits: with code 0 after a signal, and 1 after an error, a failed shutdown or a second signal, at which the process
 * exits at once. A SIGTERM or SIGINT within 500 ms of the first signal does not count as a second one. When a process
 * has nothing left to do, `target` is shut down too, and the process exits with its own code. Returns a function that
 * removes the handlers.
 */
export function handleSignals(target: SignalTarget): () => void {
  const { handled } = sharedState()
  handled.add(target)
  reinstall()
  return () => {
    if (handled.delete(target)) reinstall()
  }
}

function reinstall(): void {
  const state = sharedState()
  const { handled } = state
  // During a shutdown the handlers must stay, for a second signal.
  if (state.isEnding) return
  state.uninstall?.()
  state.uninstall = undefined
  const [first] = handled
  if (first === undefined) return
  const { logger } = first
  // The targets shut down one after another, each within its own budget.
  const budgetMs = [...handled].reduce((sum, target) => sum + target.gracefulShutdownTimeoutMs + SPARE_MS, 0)
  const grace = closeWithGrace(
    {
      delay: Math.min(budgetMs, MAX_TIMER_MS),
      skip: SKIPPED,
      logger: { error: (error: unknown) => logger.error({ err: error }, 'shutdown failed') },
      onSecondError: (error) => logger.fatal({ err: error }, 'another error during the shutdown'),
      onTimeout: (delay) => logger.error({ delay }, 'shutdown timed out; exiting'),
    },
    async ({ manual, err }) => {
      state.isEnding = true
      if (manual) return shutdownAll(firstSignal as string)
      // `err` may be any thrown value, even undefined.
      first.reportFatal(err)
      await shutdownAll('uncaught error')
      // For a falsy value close-with-grace exits with code 0, unless this rejects.
      if (!err) throw new Error(`the thrown value was ${inspect(err)}`)
    },
  )
  let firstSignal: string | undefined
  let firstSignalAtMs = Number.NEGATIVE_INFINITY
  const onSignal = (signal: string): void => {
    if (!state.isEnding) {
      firstSignal = signal
      firstSignalAtMs = performance.now()
      grace.close()
      return
    }
    const isRepeated = performance.now() - firstSignalAtMs < REPEAT_MS
    if (isRepeated && REPEATED_SIGNALS.includes(signal)) return
    logger.error({ signal }, 'second signal received; exiting')
    process.exit(1)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  const onBeforeExit = (): void => {
    shutdownAll('nothing left to do').catch(() => {
      process.exitCode ??= 1
    })
  }
  process.once('beforeExit', onBeforeExit)
  state.uninstall = () => {
    grace.uninstall()
    for (const signal of SIGNALS) process.off(signal, onSignal)
    process.off('beforeExit', onBeforeExit)
  }
}

/** Shuts all targets down in reverse order, one after another; rejects with the first failure at the end. */
async function shutdownAll(reason: string): Promise<void> {
  const failures: unknown[] = []
  for (const target of [...sharedState().handled].reverse()) {
    await target.shutdown(reason).catch((error: unknown) => failures.push(error))
    if (target.state === 'error')
      failures.push(new Error('the startup or the shutdown of the application failed'))
  }
  // Promises that the shutdown settled, such as that of `createRuntime`, reach their callers before the process exits.
  await new Promise((resolve) => setImmediate(resolve))
  if (failures.length > 0) throw failures[0]
}
