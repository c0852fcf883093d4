import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { anonymousBytesOf } from '../../platform/process-memory.js'
import type { BuilderMessage, BuilderOrder, RejectedForm } from '../../protocol/builder/builder-messages.js'
import type { Signature } from '../../tensors/tensor.js'
import { BuilderDeath, BuilderUnavailable, type DeathCause } from './builder-failure.js'

const WATCH_MS = 100
/** Time for a process to come up. */
const START_MS = 30_000
/** Signals that no fault of its own gives a process. */
const FROM_OUTSIDE: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']

/** The time and memory that one order may take. */
export interface BuilderLimits {
  /** Time for the whole order; 0 is without a limit. */
  readonly timeoutMs: number
  /** Shorter times for single steps, by the name of the step. */
  readonly stepTimeoutMs?: Readonly<Record<string, number>>
  /** Memory behind no file that the process may take. */
  readonly maxBytes: number
  /** Size of the files that the order reads, if it is known: large ones may keep others waiting for longer. */
  readonly fileBytes?: number | undefined
  /** False for an order for which this process need not stay alive. */
  readonly keepsAwake?: boolean
}

const NOT_OURS = 'if a bundler has made its file, see that `builderEntry` is `tbcoin-engine/artifact-builder`'

/** A process that carries out orders. */
export interface Builder {
  readonly child: ChildProcess
  /** True once it has come up. */
  isReady: boolean
}

/**
 * Gives a process an order and resolves with its reply.
 * @throws BuilderDeath; BuilderUnavailable if it has not come up, or can load no model. It is to be ended then.
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
          : new BuilderUnavailable(`${reason}, before it was ready; ${NOT_OURS}`),
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
      // Messages of another program are not for this one.
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
      if (signal === null) fail('fault', `the process that tried it exited with code ${code}`)
      else
        fail(
          FROM_OUTSIDE.includes(signal) ? 'killed' : 'fault',
          `the process that tried it died of ${signal}`,
        )
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
      // It has no channel any more.
      fail('killed', messageOf(error))
    }
  })
}
