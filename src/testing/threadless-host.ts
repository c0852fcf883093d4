import { exitError } from '../hosts/exit-error.js'
import { type ExitListener, type ReplicaHost, UnsendableTask } from '../hosts/replica-host.js'
import { encodeError } from '../protocol/error-codec.js'
import type { ReplicaDescription, ReplicaStats } from '../protocol/replica/control.js'
import type { LogLevel } from '../protocol/replica/log-line.js'
import { buffersOf } from '../protocol/replica/pack-layout.js'
import type { ReplicaReplies } from '../protocol/replica/replica-replies.js'
import type {
  BackgroundTask,
  LoadTask,
  ReleaseTask,
  ReplicaTask,
  RunTask,
} from '../protocol/replica/replica-task.js'
import type { Signature } from '../tensors/tensor.js'

/** Reply to a task. */
export type Reply = ReplicaReplies[ReplicaTask['kind']]

/** Task that has reached a replica, and stays with it until the replica replies. */
export class ThreadlessTask<T extends ReplicaTask = ReplicaTask> {
  readonly message: T
  readonly host: ThreadlessHost
  readonly promise: Promise<never>
  #resolve!: (reply: never) => void
  #reject!: (error: unknown) => void

  constructor(message: T, host: ThreadlessHost) {
    this.message = message
    this.host = host
    this.promise = new Promise<never>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.promise.catch(() => undefined)
  }

  /** Ends the task; the reply arrives unless the replica was ended meanwhile. */
  reply(reply: Reply): void {
    if (this.host.leave(this, reply)) this.#resolve(reply as never)
  }

  /** Ends the task with the reply of a failure. */
  fail(error: unknown): void {
    this.reply({ ok: false, error: encodeError(error) })
  }

  /** Rejects the task: no reply will come. */
  lose(error: unknown): void {
    this.#reject(error)
  }
}

/** Identity of a replica without a thread. */
export interface ThreadlessIdentity {
  readonly model: string
  readonly version: string
  readonly threadId: number
  readonly logLevel: LogLevel
}

/**
 * Replica without a thread, as the pool that owns it sees one: messages are copied, buffers move, and it leaves the task
 * under way before it ends. Subclasses do the tasks.
 */
export abstract class ThreadlessHost implements ReplicaHost {
  readonly isKillable: boolean
  onExit: ExitListener | undefined
  id: number | undefined
  /** The task under way. */
  task: ThreadlessTask | undefined
  progress = -1
  isWaiting = false
  isDetached = false
  isTerminated = false
  isGone = false
  protected readonly counts = { runs: 0, failedRuns: 0, busyMs: 0 }
  readonly #identity: ThreadlessIdentity
  #logLevel: LogLevel
  #signature: Signature | undefined
  /** Questions that wait until the replica is outside of its task. */
  #questions: (() => void)[] = []
  #whyCut: Error | undefined
  #ending: Promise<void> | undefined
  #ended!: () => void

  constructor(identity: ThreadlessIdentity, isKillable: boolean) {
    this.#identity = identity
    this.#logLevel = identity.logLevel
    this.isKillable = isKillable
  }

  /** Does a task: has to end in a reply to it. */
  protected abstract begin(task: ThreadlessTask): void

  load(task: LoadTask): Promise<ReplicaReplies['load']> {
    if (!this.isGone && this.#ending === undefined) this.id = this.#identity.threadId
    return this.#send(task, [])
  }

  run(task: RunTask): Promise<ReplicaReplies['run']> {
    return this.#send(task, buffersOf(task))
  }

  background(task: BackgroundTask): Promise<ReplicaReplies['background']> {
    return this.#send(task, [])
  }

  release(): Promise<ReplicaReplies['release']> {
    return this.#send({ kind: 'release' } satisfies ReleaseTask, [])
  }

  describe(): Promise<ReplicaDescription> {
    const { model, version, threadId } = this.#identity
    return this.#ask(() => ({
      threadId,
      model,
      version,
      signature: this.#signature,
      nodeVersion: process.version,
      logLevel: this.#logLevel,
    }))
  }

  stats(): Promise<ReplicaStats> {
    // It has no heap of its own.
    return this.#ask(() => ({ ...this.counts, heapUsedBytes: 1 }))
  }

  setLogLevel(level: LogLevel): Promise<void> {
    return this.#ask(() => {
      this.#logLevel = level
    })
  }

  /** Ends a replica that is inside a task when it leaves the task, unless it may be killed. */
  terminate(): Promise<void> {
    this.isTerminated = true
    this.#ending ??= new Promise((resolve) => {
      this.#ended = resolve
      if (this.task === undefined || this.isKillable) this.#kill()
    })
    return this.#ending
  }

  detach(): void {
    this.isDetached = true
  }

  /** Ends the replica as a thread that dies of itself, in the task under way or between two. */
  exit(why = new Error('the thread exited with code 7')): void {
    if (this.isGone) throw new Error('this replica is gone already')
    const cause = this.#whyGone(why)
    this.#kill(cause)
    if (this.#ending === undefined) this.onExit?.(cause)
  }

  /** Breaks the way to the replica: its reply is lost and nothing reaches it, but it is still there. */
  cut(why: Error = new Error('write EPIPE')): void {
    this.#whyCut = why
    this.task?.lose(why)
  }

  /** Takes `task` out of the replica; returns true if its reply still counts. @internal */
  leave(task: ThreadlessTask, reply: Reply): boolean {
    if (this.task !== task) throw new Error(`the replica is not inside that ${task.message.kind}`)
    this.task = undefined
    if (this.#ending === undefined) {
      if (task.message.kind === 'load' && reply.ok && 'signature' in reply) this.#signature = reply.signature
      this.#hear()
      return true
    }
    this.#die()
    task.lose(this.#whyGone())
    return false
  }

  /** Called when the replica is gone. */
  protected onGone(): void {}

  async #send<T extends ReplicaTask>(message: T, transfer: ArrayBuffer[]): Promise<never> {
    if (this.isGone || this.#ending !== undefined) throw this.#whyGone()
    if (this.#whyCut !== undefined) throw this.#whyCut
    if (this.task !== undefined) {
      throw new Error(`${message.kind} was sent while the replica was inside ${this.task.message.kind}`)
    }
    const task = new ThreadlessTask(sent(message, transfer), this)
    this.task = task
    if (message.kind === 'run') this.progress = 0
    this.begin(task)
    return task.promise
  }

  #kill(cause = this.#whyGone()): void {
    const { task } = this
    this.task = undefined
    this.#die()
    task?.lose(cause)
  }

  #die(): void {
    this.isGone = true
    this.id = undefined
    this.onGone()
    this.#hear()
    this.#ended?.()
  }

  #hear(): void {
    for (const answer of this.#questions.splice(0)) answer()
  }

  #whyGone(cause?: Error): Error {
    return exitError(this.#identity, cause)
  }

  /** Answers outside of tasks, once the replica is there. */
  async #ask<T>(answer: () => T): Promise<T> {
    const isThere = this.id !== undefined && this.task === undefined
    if (!isThere && !this.isGone) {
      await new Promise<void>((resolve) => {
        this.#questions.push(resolve)
      })
    }
    if (this.isGone) throw this.#whyGone()
    return answer()
  }
}

/** Returns a message as it arrives: moved buffers are gone here, others are copies. */
function sent<T extends ReplicaTask>(message: T, transfer: ArrayBuffer[]): T {
  try {
    return structuredClone(message, { transfer })
  } catch (error) {
    throw message.kind === 'load' ? error : new UnsendableTask(error)
  }
}
