import closeWithGrace from 'close-with-grace'
import type { Logger } from '../telemetry/logger.js'

/** What ends in order when the process is told to. */
export interface SignalHandled {
  readonly logger: Logger
  /** How long its shutdown may take, in milliseconds. */
  readonly gracefulShutdownTimeoutMs: number
  shutdown(reason: string): Promise<void>
}

/**
 * Left to the system. A handler for a fault would run in a process that is broken, and on a worker's
 * fault never: it hangs instead of dying. SIGUSR2 is others' (nodemon, heap snapshots). `beforeExit`
 * is handled here, since close-with-grace would end the process with code 0 whatever the host has set.
 */
const SKIPPED: closeWithGrace.AllEvents[] = [
  'SIGSEGV',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGABRT',
  'SIGTRAP',
  'SIGUSR2',
  'beforeExit',
]
/** A shutdown keeps its own budget; this is for one that does not. */
const SPARE_MS = 1_000

/** One set of handlers for all: whoever is done first must not end the process under the others. */
const handled = new Set<SignalHandled>()
let uninstall: (() => void) | undefined
let isEnding = false

/**
 * From now on SIGTERM, SIGINT, SIGHUP, SIGQUIT, an uncaught exception and an unhandled rejection shut
 * `one` down, and then end the process: with code 0 after a signal, 1 after an error, a failed
 * shutdown, or a second signal, which waits for nothing. So does a process with nothing left to do,
 * which ends with its own code. The returned function ends that.
 */
export function handleSignals(one: SignalHandled): () => void {
  handled.add(one)
  reinstall()
  return () => {
    if (handled.delete(one)) reinstall()
  }
}

function reinstall(): void {
  // In the middle of an end the handlers for a second signal have to stay.
  if (isEnding) return
  uninstall?.()
  uninstall = undefined
  const [first] = handled
  if (first === undefined) return
  const { logger } = first
  const longestMs = Math.max(...[...handled].map((one) => one.gracefulShutdownTimeoutMs))
  const grace = closeWithGrace(
    {
      delay: longestMs + SPARE_MS,
      skip: SKIPPED,
      logger: { error: (error: unknown) => logger.error({ err: error }, 'the shutdown failed') },
      onSecondSignal: (signal) => logger.error({ signal }, 'a second signal; the process ends at once'),
      onSecondError: (error) => logger.fatal({ err: error }, 'another error while the process was ending'),
      onTimeout: (delay) => logger.error({ delay }, 'the shutdown has taken too long; the process ends'),
    },
    async ({ signal, err }) => {
      isEnding = true
      if (err !== undefined) logger.fatal({ err }, 'an error that nobody handled; the process ends')
      await shutdownAll(signal ?? 'uncaught error')
    },
  )
  const onBeforeExit = (): void => {
    shutdownAll('nothing left to do').catch(() => {
      process.exitCode ??= 1
    })
  }
  process.once('beforeExit', onBeforeExit)
  uninstall = () => {
    grace.uninstall()
    process.off('beforeExit', onBeforeExit)
  }
}

/** In reverse order, one after another; rejects with the first failure once all are over. */
async function shutdownAll(reason: string): Promise<void> {
  const failures: unknown[] = []
  for (const one of [...handled].reverse()) {
    await one.shutdown(reason).catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw failures[0]
}
