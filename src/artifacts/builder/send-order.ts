import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { anonymousBytesOf } from '../../platform/process-memory.js'
import type { BuilderMessage, BuilderOrder, RejectedForm } from '../../protocol/builder/builder-messages.js'
import type { Signature } from '../../tensors/tensor.js'
import { BuilderDeath, BuilderUnavailable, type DeathCause } from './builder-failure.js'

/** Interval at which the memory of the process is read. */
const WATCH_MS = 100
/** Time limit for a process to start. */
const START_MS = 30_000
/** Signals that a process never gets for a fault of its own. */
const FROM_OUTSIDE: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']

/** Limits on the time and memory of one order. */
export interface BuilderLimits {
  /** Time limit of the whole order; 0 disables it. */
  readonly timeoutMs: number
  /** Shorter limits for single steps, by the name of the step. */
  readonly stepTimeoutMs?: Readonly<Record<string, number>>
  /** Limit on the anonymous memory of the process (memory behind no file), in bytes. */
  readonly maxBytes: number
  /** Size of the files that the order reads, if known: an order on large files may delay the next one for longer. */
  readonly fileBytes?: number | undefined
  /** False: the order does not keep this process alive. */
  readonly keepsAwake?: boolean
}

const ENTRY_HINT = 'if a bundler made its file, check that `builderEntry` is `tbcoin-engine/artifact-builder`'

/** A process that carries out orders. */
export interface Builder {
  readonly child: ChildProcess
  /** True once it has sent `ready`. */
  isReady: boolean
}

/**
 * Sends a process an order and resolves with its reply. After a rejection the caller ends the process.
 * @throws BuilderDeath; BuilderUnavailable if the process did not start, or can load no model.
 */
export function sendOrder(
  clock: Clock,
  builder: Builder,
  order: BuilderOrder,
  limits: BuilderLimits,
): Promise<unknown> {
  const { child } = builder
  return new Promise((resolve, reject) => {
    const awake = (timer: Timer): Timer => (limits.keepsAwake === false ? timer.unref() : timer)
    let step = 'start'
    let signature: Signature | undefined
    const rejected: RejectedForm[] = []
    const settle = (): void => {
      clock.clear(timer)
      clock.clear(stepTimer)
      clock.clear(watch)
      child.off('message', onMessage).off('exit', onExit).off('error', onError)
    }
    const fail = (kind: DeathCause, reason: string): void => {
      settle()
      reject(
        builder.isReady
          ? new BuilderDeath(kind, reason, { step, rejected, signature })
          : new BuilderUnavailable(`${reason}, before it was ready; ${ENTRY_HINT}`),
      )
    }
    const limitTimer = (limitMs: number, what: string): Timer =>
      awake(clock.setTimeout(() => fail('limit', `it did not ${what} within ${limitMs} ms`), limitMs))
    const begin = (): void => {
      builder.isReady = true
      clock.clear(timer)
      timer = limits.timeoutMs === 0 ? undefined : limitTimer(limits.timeoutMs, 'return')
    }
    const enter = (name: string): void => {
      step = name
      clock.clear(stepTimer)
      const limitMs = limits.stepTimeoutMs?.[name]
      stepTimer = limitMs === undefined ? undefined : limitTimer(limitMs, `return from the step "${name}"`)
    }
    const onMessage = (message: BuilderMessage): void => {
      if (message?.kind === 'ready') begin()
      // Without `ready` the process may be another program, whose messages mean something else.
      else if (!builder.isReady) return
      else if (message?.kind === 'step') enter(message.step)
      else if (message?.kind === 'loaded') signature = message.signature
      else if (message?.kind === 'rejected') rejected.push(message.rejected)
      else if (message?.kind === 'unable') {
        settle()
        reject(new BuilderUnavailable(message.reason))
      } else if (message?.kind === 'reply') {
        settle()
        resolve(message.reply)
      }
    }
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (signal === null) fail('fault', `the process exited with code ${code}`)
      else fail(FROM_OUTSIDE.includes(signal) ? 'killed' : 'fault', `the process died of ${signal}`)
    }
    const onError = (error: Error): void => fail('killed', error.message)
    let timer: Timer | undefined
    let stepTimer: Timer | undefined
    if (builder.isReady) begin()
    else timer = limitTimer(START_MS, 'come up')
    const watch = awake(
      clock.setInterval(async () => {
        const bytes = await anonymousBytesOf(child.pid as number)
        if (bytes > limits.maxBytes)
          fail('limit', `it took more than ${Math.round(limits.maxBytes / 2 ** 20)} MiB of memory`)
      }, WATCH_MS),
    )
    child.on('message', onMessage).on('exit', onExit).on('error', onError)
    try {
      child.send(order, (error) => {
        if (error !== null) fail('killed', error.message)
      })
    } catch (error) {
      // The channel to the process is closed.
      fail('killed', messageOf(error))
    }
  })
}
