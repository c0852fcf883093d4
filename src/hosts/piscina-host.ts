import type { MessagePort, Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { errors } from '../errors/errors.js'
import { Turn } from '../protocol/guard/turn.js'
import type { ReplicaDescription, ReplicaStats } from '../protocol/replica/control.js'
import { ControlPort } from '../protocol/replica/control-port.js'
import { isLogLine, type LogLevel, type LogLine } from '../protocol/replica/log-line.js'
import type { ReplicaReplies } from '../protocol/replica/replica-replies.js'
import type { BackgroundTask, LoadTask, PortTask, RunTask } from '../protocol/replica/replica-task.js'
import type { ThreadData, ThreadTask } from '../protocol/replica/thread.js'
import { exitError } from './exit-error.js'
import { GuardSlot } from './guard-slot.js'
import { remedyOfMissing } from './remedy-of-missing.js'
import type { ExitListener, ReplicaHost } from './replica-host.js'
import { sharedTurns } from './shared-turns.js'
import { TaskPort } from './task-port.js'

export interface PiscinaHostOptions {
  readonly model: string
  readonly version: string
  /** Path of the entry of the replica's thread. */
  readonly entry: string
  readonly execArgv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly niceIncrement: number
  readonly exitWaitMs: number
  /** True if native calls of the replica may have to take turns with those of other threads. */
  readonly takesTurns?: boolean
  readonly logLevel: LogLevel
  readonly onLog: (line: LogLine) => void
}

/**
 * Piscina's record of a worker, which is only reachable through the events, by a symbol that Piscina does not export.
 */
interface WorkerInfo {
  unref(): void
}

/** A replica in a Piscina of one thread, which is not reused after its end. */
export class PiscinaHost implements ReplicaHost {
  readonly isKillable = false
  onExit: ExitListener | undefined
  readonly #options: PiscinaHostOptions
  readonly #slot: GuardSlot
  readonly #pool: Piscina
  readonly #tasks = new TaskPort()
  readonly #control = new ControlPort()
  #worker: Worker | undefined
  #workerInfo: WorkerInfo | undefined
  #hasStarted = false
  #isDestroyed = false
  #isDetached = false
  #keepAlive: NodeJS.Timeout | undefined
  #lastError: Error | undefined
  /**
   * Rejects the tasks under way. There can be several: `release` may be called while the thread does background work.
   */
  readonly #pending = new Set<(error: Error) => void>()
  #exited: Promise<void> = Promise.resolve()
  #ending: Promise<void> | undefined

  constructor(options: PiscinaHostOptions) {
    this.#options = options
    const turn = options.takesTurns ? claimTurn(options) : undefined
    this.#slot = new GuardSlot(options.model, options.version, options.exitWaitMs, turn)
    const workerData: ThreadData = {
      guard: this.#slot.memory,
      model: options.model,
      version: options.version,
      logLevel: options.logLevel,
      seat: turn?.seat,
    }
    this.#pool = new Piscina({
      filename: options.entry,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // The default would block the idle thread's event loop, so that the control port never answers.
      atomics: 'disabled',
      concurrentTasksPerWorker: 1,
      recordTiming: false,
      niceIncrement: options.niceIncrement,
      execArgv: [...options.execArgv],
      env: options.env as NodeJS.ProcessEnv,
      workerData,
    })
    // Without a listener, an error of an idle thread would crash the application.
    this.#pool.on('error', (error: Error) => {
      this.#lastError = error
    })
    this.#pool.on('workerCreate', (worker: Record<symbol, WorkerInfo>) => {
      for (const symbol of Object.getOwnPropertySymbols(worker)) this.#workerInfo = worker[symbol]
      if (this.#isDetached) this.#workerInfo?.unref()
    })
    this.#pool.on('workerDestroy', () => {
      this.#isDestroyed = true
    })
    this.#pool.on('message', (message: unknown) => this.#receive(message))
  }

  get id(): number | undefined {
    return this.#worker?.threadId
  }

  get progress(): number {
    return this.#slot.run
  }

  get isWaiting(): boolean {
    return this.#slot.isWaiting
  }

  load(task: LoadTask): Promise<ReplicaReplies['load']> {
    const [tasks, control] = [this.#tasks.remote, this.#control.remote]
    const loading = this.#send({ ...task, tasks, control }, [tasks, control])
    this.#watch(this.#pool.threads[0])
    return loading as Promise<ReplicaReplies['load']>
  }

  run(task: RunTask): Promise<ReplicaReplies['run']> {
    return this.#exchange(task) as Promise<ReplicaReplies['run']>
  }

  background(task: BackgroundTask): Promise<ReplicaReplies['background']> {
    return this.#exchange(task) as Promise<ReplicaReplies['background']>
  }

  release(): Promise<ReplicaReplies['release']> {
    return this.#send({ kind: 'release' }, []) as Promise<ReplicaReplies['release']>
  }

  describe(): Promise<ReplicaDescription> {
    return this.#control.describe()
  }

  stats(): Promise<ReplicaStats> {
    return this.#control.stats()
  }

  setLogLevel(level: LogLevel): Promise<void> {
    return this.#control.setLogLevel(level)
  }

  terminate(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  detach(): void {
    this.#isDetached = true
    this.#slot.holdUp()
    this.#keepAlive?.unref()
    this.#workerInfo?.unref()
    this.#worker?.unref()
  }

  /** Sends a task without Piscina, whose tasks take longer and retain their results. */
  #exchange(task: PortTask): Promise<unknown> {
    if (this.#isDestroyed || this.#ending !== undefined) return Promise.reject(this.#exitError())
    return new Promise((resolve, reject) => {
      this.#slot.resetRun()
      this.#tasks.send(task, (reply) => {
        this.#slot.busySinceMs = undefined
        this.#worker?.unref()
        this.#pending.delete(reject)
        resolve(reply)
      })
      if (!this.#isDetached) this.#worker?.ref()
      this.#pending.add(reject)
      this.#slot.busySinceMs = performance.now()
      this.#slot.countSent()
    })
  }

  #send(task: ThreadTask, transferList: MessagePort[]): Promise<unknown> {
    // A destroyed Piscina would start a new thread.
    if (this.#isDestroyed || this.#ending !== undefined) return Promise.reject(this.#exitError())
    return new Promise((resolve, reject) => {
      this.#pending.add(reject)
      this.#slot.busySinceMs = performance.now()
      this.#pool.run(task, { transferList }).then(
        (reply) => {
          this.#slot.busySinceMs = undefined
          this.#pending.delete(reject)
          resolve(reply)
        },
        (error: Error) => {
          this.#slot.busySinceMs = undefined
          if (this.#isDestroyed) this.#lastError ??= error
          this.#pending.delete(reject)
          reject(this.#isDestroyed ? this.#exitError() : error)
        },
      )
    })
  }

  /** Watches the thread's exit, because Piscina settles no task of a thread that dies before it is ready. */
  #watch(worker: Worker | undefined): void {
    this.#worker = worker
    if (worker === undefined) {
      // The thread could not be started. Piscina must not be used again, and must not be made to settle a task that
      // it never took.
      this.#isDestroyed = true
      this.#closePorts()
      return
    }
    this.#hasStarted = true
    this.#exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#worker = undefined
        this.#isDestroyed = true
        this.#lastError ??= new Error(`the thread exited with code ${code}`)
        this.#closePorts()
        for (const reject of this.#pending) reject(this.#exitError())
        this.#pending.clear()
        resolve()
        if (this.#ending === undefined) this.onExit?.(this.#exitError())
      })
    })
    worker.once('error', (error) => {
      this.#lastError = error
    })
  }

  async #end(): Promise<void> {
    this.#slot.requestStop()
    // `Atomics.waitAsync` alone would let the process end meanwhile, with this promise unsettled.
    this.#keepAlive = setInterval(() => undefined, 60_000)
    if (this.#isDetached) this.#keepAlive.unref()
    try {
      await this.#slot.whenOutsideNative()
      if (this.#hasStarted) await this.#pool.destroy()
      await this.#exited
    } catch (error) {
      this.#lastError ??= error as Error
    } finally {
      clearInterval(this.#keepAlive)
      this.#closePorts()
    }
  }

  /** Releases the guard and the ports. To be called when the thread has ended. */
  #closePorts(): void {
    this.#slot.release()
    this.#tasks.close()
    this.#control.close(this.#exitError())
  }

  /**
   * Passes on log lines. A loader, or a library that it uses, may send other messages through the same port; they are
   * ignored.
   */
  #receive(message: unknown): void {
    if (isLogLine(message)) this.#options.onLog(message)
  }

  #exitError(): Error {
    const error = this.#lastError
    const reason = error && reasonOf(error, this.#options.entry)
    return exitError(this.#options, error, reason)
  }
}

function reasonOf(error: Error, entry: string): string {
  const remedy = remedyOfMissing(error, entry)
  return `${error.name}: ${error.message}${remedy === undefined ? '' : `; ${remedy}`}`
}

function claimTurn({ model, version }: PiscinaHostOptions): Turn {
  const turn = Turn.claim(sharedTurns())
  if (turn !== undefined) return turn
  throw new errors.ERR_MODEL_LOAD(
    `too many threads of this process use an execution provider that runs one at a time; unload other models before loading ${model}@${version}`,
    { model, version },
  )
}
