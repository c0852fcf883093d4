import { inspect } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { MAX_TIMER_MS } from '../config/runtime-options.js'
import { processWide } from '../platform/process-wide.js'
import type { Logger } from '../telemetry/logger.js'
import type { LifecycleState } from './state-machine.js'

/** What ends in order when the process is told to. */
export interface SignalTarget {
  readonly logger: Logger
  /** How long its shutdown may take, in milliseconds. */
  readonly gracefulShutdownTimeoutMs: number
  /** It is `error` after a startup or a shutdown that failed. */
  readonly state: LifecycleState
  shutdown(reason: string): Promise<void>
  /** Tells of an error that ends the process. */
  reportFatal(error: unknown): void
}

/** The signals that shut the process down. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const
/**
 * One Ctrl-C can arrive as several signals: the terminal signals the whole process group, and a parent
 * such as `node --watch`, tsx or npm passes its own on.
 */
const REPEATED_SIGNALS: readonly string[] = ['SIGTERM', 'SIGINT']
/** A repeated signal that comes within this time of the first one, in milliseconds, is the same one. */
const REPEAT_MS = 500

/**
 * Events that close-with-grace does not handle. A handler for a fault would run in a broken process, and
 * for a worker's fault it never runs: the process hangs instead of dying. SIGUSR2 belongs to others
 * (nodemon, heap snapshots). The signals of a shutdown and `beforeExit` are handled here, since
 * close-with-grace ends the process at every second signal, and with code 0 whatever the host has set.
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
/** A shutdown keeps its own budget, but for what winding up takes; this is for one that does not. */
const SPARE_MS = 5_000

/** One set of handlers for all: whoever is done first must not end the process under the others. */
interface SignalState {
  readonly handled: Set<SignalTarget>
  uninstall: (() => void) | undefined
  isEnding: boolean
}

function sharedState(): SignalState {
  return processWide('signals', () => ({ handled: new Set(), uninstall: undefined, isEnding: false }))
}

/**
 * Shuts `target` down at SIGTERM, SIGINT, SIGHUP, SIGQUIT, an uncaught exception or an unhandled rejection,
 * and then ends the process: with code 0 after a signal, 1 after an error, a failed shutdown, or a second
 * signal, which waits for nothing. A SIGTERM or SIGINT within 500 ms of the first signal is no second one.
 * A process with nothing left to do is shut down too, and ends with its own code. The returned function
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
  // In the middle of an end the handlers for a second signal have to stay.
  if (state.isEnding) return
  state.uninstall?.()
  state.uninstall = undefined
  const [first] = handled
  if (first === undefined) return
  const { logger } = first
  // One after another, each within its own budget.
  const budgetMs = [...handled].reduce((sum, target) => sum + target.gracefulShutdownTimeoutMs + SPARE_MS, 0)
  const grace = closeWithGrace(
    {
      delay: Math.min(budgetMs, MAX_TIMER_MS),
      skip: SKIPPED,
      logger: { error: (error: unknown) => logger.error({ err: error }, 'the shutdown failed') },
      onSecondError: (error) => logger.fatal({ err: error }, 'another error while the process was ending'),
      onTimeout: (delay) => logger.error({ delay }, 'the shutdown has taken too long; the process ends'),
    },
    async ({ manual, err }) => {
      state.isEnding = true
      if (manual) return shutdownAll(firstSignal as string)
      // Anything can be thrown, also what is no error.
      first.reportFatal(err)
      await shutdownAll('uncaught error')
      // Else the process would end well.
      if (!err) throw new Error(`the error was ${inspect(err)}`)
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
    logger.error({ signal }, 'a second signal; the process ends at once')
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

/** In reverse order, one after another; rejects with the first failure once all are over. */
async function shutdownAll(reason: string): Promise<void> {
  const failures: unknown[] = []
  for (const target of [...sharedState().handled].reverse()) {
    await target.shutdown(reason).catch((error: unknown) => failures.push(error))
    if (target.state === 'error') failures.push(new Error('the application did not start or end well'))
  }
  if (failures.length > 0) throw failures[0]
}
