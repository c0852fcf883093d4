import { type ChildProcess, fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { errors, messageOf } from '../errors.js'
import type {
  BuilderMessage,
  BuilderOrder,
  BuilderReplies,
  RejectedForm,
} from '../protocol/builder-messages.js'
import type { Failure } from '../protocol/messages.js'
import type { Signature } from '../tensors/tensor.js'

/** Without an order the process ends after so long. */
const IDLE_MS = 2_000
const WATCH_MS = 100
/** To come up. */
const START_MS = 30_000
/** Signals that no fault of its own gives a process. */
const FROM_OUTSIDE: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']

export interface BuilderLimits {
  /** 0 is never. */
  readonly timeoutMs: number
  /** Memory behind no file that the process may take. */
  readonly maxBytes: number
}

/** How the process is started. */
export interface BuilderEntry {
  readonly path: string
  readonly execArgv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/** By itself, of an order that took too long or too much, or at the hand of somebody else. */
export type DeathCause = 'fault' | 'limit' | 'killed'

/** The builder does not do what it is told. */
export class BuilderFailure extends Error {}

/** The builder has died, or was killed, over an order. */
export class BuilderDeath extends BuilderFailure {
  readonly kind: DeathCause
  /** What it was doing. */
  readonly step: string
  readonly rejected: readonly RejectedForm[]
  /** Of the model that it was to try, if it could be loaded. */
  readonly signature: Signature | undefined

  constructor(
    kind: DeathCause,
    why: string,
    { step, rejected, signature }: Pick<BuilderDeath, 'step' | 'rejected' | 'signature'>,
  ) {
    super(why)
    this.name = 'BuilderDeath'
    this.kind = kind
    this.step = step
    this.rejected = rejected
    this.signature = signature
  }
}

/** There is no builder: it cannot be started here. */
export class NoBuilder extends BuilderFailure {}

/** Gives orders to the builder, one after another; starts it when there is one, and again after its death. */
export class BuilderProcess {
  readonly #entry: BuilderEntry
  #child: ChildProcess | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL')

  constructor(entry: BuilderEntry) {
    this.#entry = entry
  }

  /**
   * Once more if somebody else ends the process meanwhile.
   * @throws BuilderDeath, NoBuilder, ERR_RUNTIME_CLOSED
   */
  run<T extends BuilderOrder>(order: T, limits: BuilderLimits): Promise<BuilderReplies[T['kind']] | Failure> {
    const exchange = (): Promise<unknown> => this.#exchange(order, limits)
    const result = this.#turn.then(() =>
      exchange().catch((error) => (wasKilled(error) ? exchange() : Promise.reject(error))),
    )
    this.#turn = result.catch(() => undefined)
    return result as Promise<BuilderReplies[T['kind']] | Failure>
  }

  /** Ends the process, whatever it is doing. */
  close(): void {
    this.#isClosed = true
    this.#end()
  }

  async #exchange(order: BuilderOrder, limits: BuilderLimits): Promise<unknown> {
    clearTimeout(this.#idleTimer)
    this.#assertOpen()
    const child = this.#child ?? this.#start()
    this.#child = child
    setAwake(child, true)
    try {
      const reply = await converse(child, order, limits)
      // What it took is not to be kept.
      if (order.kind === 'build') this.#end()
      return reply
    } catch (error) {
      this.#end()
      this.#assertOpen()
      throw error
    } finally {
      setAwake(child, false)
      this.#idleTimer = setTimeout(() => this.#end(), IDLE_MS)
      this.#idleTimer.unref()
    }
  }

  #start(): ChildProcess {
    const child = forked(this.#entry.path, [String(process.pid)], {
      execArgv: [...this.#entry.execArgv],
      env: { ...this.#entry.env },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    // Its end is noticed by whoever waits for it.
    child.on('error', () => undefined)
    process.on('exit', this.#onExit)
    child.once('exit', () => {
      if (this.#child === child) this.#forget()
    })
    return child
  }

  #end(): void {
    clearTimeout(this.#idleTimer)
    this.#child?.kill('SIGKILL')
    this.#forget()
  }

  #forget(): void {
    this.#child = undefined
    process.off('exit', this.#onExit)
  }

  #assertOpen(): void {
    if (this.#isClosed)
      throw new errors.ERR_RUNTIME_CLOSED('the runtime was closed while a model was prepared')
  }
}

function wasKilled(error: unknown): boolean {
  return error instanceof BuilderDeath && error.kind === 'killed'
}

/** @throws NoBuilder where no process may be started. */
function forked(...args: Parameters<typeof fork>): ChildProcess {
  try {
    return fork(...args)
  } catch (error) {
    throw new NoBuilder(messageOf(error))
  }
}

/** Whether the process, and the channel to it, keep this one alive. */
function setAwake(child: ChildProcess, isAwake: boolean): void {
  if (isAwake) {
    child.ref()
    child.channel?.ref()
  } else {
    child.unref()
    child.channel?.unref()
  }
}

function converse(child: ChildProcess, order: BuilderOrder, limits: BuilderLimits): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let step = 'start'
    let signature: Signature | undefined
    let isReady = readyChildren.has(child)
    const rejected: RejectedForm[] = []
    const settle = (): void => {
      clearTimeout(timer)
      clearInterval(watch)
      child.off('message', onMessage).off('exit', onExit).off('error', onError)
    }
    const die = (kind: DeathCause, why: string): void => {
      settle()
      reject(isReady ? new BuilderDeath(kind, why, { step, rejected, signature }) : new NoBuilder(why))
    }
    const onMessage = (message: BuilderMessage): void => {
      if (message.kind === 'ready') {
        isReady = true
        readyChildren.add(child)
        clearTimeout(timer)
        timer = begin()
      } else if (message.kind === 'step') step = message.step
      else if (message.kind === 'loaded') signature = message.signature
      else if (message.kind === 'rejected') rejected.push(message.rejected)
      else {
        settle()
        resolve(message.reply)
      }
    }
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (signal === null) die('fault', `the process that tried it exited with code ${code}`)
      else
        die(FROM_OUTSIDE.includes(signal) ? 'killed' : 'fault', `the process that tried it died of ${signal}`)
    }
    const onError = (error: Error): void => die('killed', error.message)
    const begin = (): NodeJS.Timeout | undefined =>
      limits.timeoutMs === 0
        ? undefined
        : setTimeout(() => die('limit', `it did not return within ${limits.timeoutMs} ms`), limits.timeoutMs)
    let timer = isReady
      ? begin()
      : setTimeout(() => die('limit', `it did not come up within ${START_MS} ms`), START_MS)
    const watch = setInterval(async () => {
      const bytes = await memoryOf(child.pid)
      if (bytes > limits.maxBytes)
        die('limit', `it took more than ${Math.round(limits.maxBytes / 2 ** 20)} MiB of memory`)
    }, WATCH_MS)
    child.on('message', onMessage).on('exit', onExit).on('error', onError)
    try {
      child.send(order, (error) => {
        if (error !== null) die('killed', error.message)
      })
    } catch (error) {
      // It has no channel, since it could not be started.
      die('killed', messageOf(error))
    }
  })
}

/** Those that have come up. */
const readyChildren = new WeakSet<ChildProcess>()

/** Memory of a process behind no file; 0 where that is not told. */
async function memoryOf(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
}
