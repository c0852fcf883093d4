import { withTimeout } from '../../async/with-timeout.js'
import { errors } from '../../errors/errors.js'
import type { ReplicaHost } from '../../hosts/replica-host.js'
import type { Clock } from '../../platform/clock.js'
import type { ReplicaReplies } from '../../protocol/replica/replica-replies.js'
import type { BackgroundTask, LoadTask, RunTask } from '../../protocol/replica/replica-task.js'
import { illegalTransition } from '../../state/transitions.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { StuckReplica } from '../settings/stuck-replica.js'
import { REPLICA_TRANSITIONS, type ReplicaState } from './replica-transitions.js'

/** Time that a session always has to be released and its thread to end, once its task is over. */
const END_MS = 1_000
/** Time that they have at most: what the callers of a release wait for must not depend on a loader that hangs. */
export const RELEASE_MS = 5_000

const NO_TASK = Promise.resolve()
const NO_RUNS: readonly PlannedRun[] = Object.freeze([])

const isTrue = (): true => true

/** A host, its state, and what it is doing. Only its own operations move it. */
export class Replica {
  readonly host: ReplicaHost
  #state: ReplicaState = 'starting'
  #runs: readonly PlannedRun[] = NO_RUNS
  /** Set once its thread has ended by itself. */
  #cause: Error | undefined
  #tasks = 0
  #knowsPlan = false
  #hasBackgroundWork = false
  #backgroundWorkAtMs = 0
  readonly #clock: Clock
  readonly #model: string
  readonly #version: string
  #startedAtMs: number
  /** The part of the task's time that counts against its limit. */
  #chargedMs = 0
  /** Settles, never rejects, when the task under way is over. */
  #task: Promise<unknown> = NO_TASK
  #ending: Promise<true> | undefined
  /** Rejects once the replica is being ended: a load that does not return must not hold up its caller. */
  readonly #abandoned: Promise<never>
  #abandon!: (error: Error) => void
  /** Resolves, with false, once its end is not waited for any more. */
  readonly #givenUp: Promise<false>
  #giveUp!: () => void

  constructor(clock: Clock, host: ReplicaHost, model: string, version: string) {
    this.#clock = clock
    this.#startedAtMs = clock.now()
    this.host = host
    this.#model = model
    this.#version = version
    this.#abandoned = new Promise((_, reject) => {
      this.#abandon = reject
    })
    this.#abandoned.catch(() => undefined)
    this.#givenUp = new Promise((resolve) => {
      this.#giveUp = () => resolve(false)
    })
  }

  get state(): ReplicaState {
    return this.#state
  }

  get isRunning(): boolean {
    return this.#state === 'busy' || this.#state === 'leaving'
  }

  /** True while it answers requests: it has loaded its model, and stays. */
  get isServing(): boolean {
    return this.#state === 'idle' || this.#state === 'busy'
  }

  /** The runs that it was given, in this order. */
  get runs(): readonly PlannedRun[] {
    return this.#runs
  }

  /** Number of tasks that it was given while it served. */
  get tasks(): number {
    return this.#tasks
  }

  /** True once its thread knows how batches are laid out. */
  get knowsPlan(): boolean {
    return this.#knowsPlan
  }

  /** True while it has work to do beside the callers'. */
  get hasBackgroundWork(): boolean {
    return this.#hasBackgroundWork
  }

  /** The time from which it may do that although callers wait. */
  get backgroundWorkAtMs(): number {
    return this.#backgroundWorkAtMs
  }

  /** Notes that its thread has read how batches are laid out. */
  notePlan(): void {
    this.#knowsPlan = true
  }

  /** Notes whether it has work left to do beside the callers', and from when on it may although some wait. */
  noteBackgroundWork(isLeft: boolean, notBeforeMs = this.#backgroundWorkAtMs): void {
    this.#hasBackgroundWork = isLeft
    this.#backgroundWorkAtMs = notBeforeMs
  }

  /**
   * Charges the task under way for `ms`, or for as long as it has run; returns what it has been charged. The
   * time in which a run waits for its turn is not charged.
   */
  charge(nowMs: number, ms: number): number {
    if (this.host.isWaiting) {
      this.#startedAtMs = nowMs
      return this.#chargedMs
    }
    this.#chargedMs += Math.max(0, Math.min(ms, this.runningMs(nowMs)))
    return this.#chargedMs
  }

  runningMs(nowMs: number): number {
    return nowMs - this.#startedAtMs
  }

  stuck(nowMs: number): StuckReplica {
    return {
      model: this.#model,
      version: this.#version,
      threadId: this.host.id,
      runningMs: this.runningMs(nowMs),
    }
  }

  /** Loads; after `timeoutMs` (0 is never) it stops waiting, the load itself goes on. */
  load(task: LoadTask, timeoutMs: number): Promise<ReplicaReplies['load']> {
    return this.#start(this.host.load(task), 'loaded', timeoutMs)
  }

  /** A run before the replica serves, within the same limit. */
  warmUp(task: RunTask, timeoutMs: number): Promise<ReplicaReplies['run']> {
    return this.#start(this.host.run(task), 'warmed up', timeoutMs)
  }

  /** Moves to `idle`: the model is loaded, or a task is over. */
  markIdle(): void {
    this.#to('idle')
    this.#runs = NO_RUNS
    // It would hold the last answer.
    this.#task = NO_TASK
  }

  /** Moves to `busy` with these runs, or with other work; `run` or `background` sends it. */
  markBusy(runs: readonly PlannedRun[] = NO_RUNS): void {
    this.#to('busy')
    this.#runs = runs
  }

  /** Sends a pack. */
  run(nowMs: number, task: RunTask): Promise<ReplicaReplies['run']> {
    return this.#send(nowMs, this.#sent(task))
  }

  /** Sends work beside the callers' requests. */
  background(nowMs: number, task: BackgroundTask): Promise<ReplicaReplies['background']> {
    return this.#send(nowMs, this.host.background(task))
  }

  /** Moves to `leaving`: its task is the last one. */
  retire(): void {
    this.#to('leaving')
  }

  /** Moves back to `busy`: its task is not the last one after all. */
  keep(): void {
    this.#to('busy')
  }

  /**
   * Gives up on what it runs: rejects the run that it is in, and returns those that it had not begun,
   * or whose answers are lost with it.
   */
  abandon(error: unknown): readonly PlannedRun[] {
    const runs = this.#runs
    const culprit = runs[this.host.progress]
    this.#runs = NO_RUNS
    for (const request of culprit?.requests ?? []) request.reject(error)
    return runs.filter((run) => run !== culprit)
  }

  /** Moves to `quarantined`: it keeps the process alive no longer, and nothing waits for its end. */
  quarantine(): void {
    this.#to('quarantined')
    void this.#leave()
  }

  /** Moves to `gone`: its thread has ended, which a task and its host report in any order. */
  exited(cause?: Error): void {
    if (this.#state === 'gone') return
    this.#to('gone')
    this.#cause = cause
  }

  /** @throws the cause if its thread has ended by itself; a reply that came before may be read afterwards. */
  assertAlive(): void {
    if (this.#cause !== undefined) throw this.#cause
  }

  /**
   * Waits for the task under way, `timeoutMs` at most, releases the session, which has a limit of its own, and ends
   * the replica. What is not over by then is ended if it may be; else it goes on in the background and no longer keeps
   * the process alive. May be called again, with another limit.
   */
  async end(timeoutMs: number): Promise<'ended' | 'stuck'> {
    this.#abandon(this.#stopped())
    this.#ending ??= this.#end()
    const endsAtMs = this.#clock.now() + timeoutMs
    const isTaskOver = this.#task.then(isTrue, isTrue)
    if (await withTimeout(this.#clock, Promise.race([isTaskOver, this.#givenUp]), timeoutMs)) {
      const restMs = Math.max(END_MS, Math.min(RELEASE_MS, endsAtMs - this.#clock.now()))
      if (await withTimeout(this.#clock, Promise.race([this.#ending, this.#givenUp]), restMs)) return 'ended'
    }
    if (this.#state !== 'quarantined' && this.#state !== 'gone') this.#to('quarantined')
    const gone = this.#leave()
    return this.host.isKillable && (await withTimeout(this.#clock, gone, END_MS)) ? 'ended' : 'stuck'
  }

  #to(next: ReplicaState): void {
    const from = this.#state
    if (!REPLICA_TRANSITIONS[from].includes(next)) {
      const subject = `a replica of ${this.#model}@${this.#version}`
      throw illegalTransition(REPLICA_TRANSITIONS, subject, from, next)
    }
    this.#state = next
  }

  /** A host that throws has failed as one that rejects has. */
  #sent(task: RunTask): Promise<ReplicaReplies['run']> {
    try {
      return this.host.run(task)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #send<T>(nowMs: number, task: Promise<T>): Promise<T> {
    this.#tasks += 1
    this.#startedAtMs = nowMs
    this.#chargedMs = 0
    this.#task = task
    return task
  }

  async #start<T>(starting: Promise<T>, what: string, timeoutMs: number): Promise<T> {
    this.#task = starting.catch(() => undefined)
    const waiting = Promise.race([starting, this.#abandoned])
    const reply = await (timeoutMs === 0 ? waiting : withTimeout(this.#clock, waiting, timeoutMs))
    if (reply !== undefined) return reply
    throw new errors.ERR_MODEL_LOAD(
      `${this.#model}@${this.#version} was not ${what} within ${timeoutMs} ms (loadTimeoutMs)`,
      { model: this.#model, version: this.#version },
    )
  }

  #stopped(): Error {
    const [model, version] = [this.#model, this.#version]
    return new errors.ERR_MODEL_UNAVAILABLE(`${model}@${version} was stopped while it was being loaded`, {
      model,
      version,
    })
  }

  async #end(): Promise<true> {
    if (this.#state === 'busy') this.#to('leaving')
    else if (this.#state === 'idle') this.#to('ending')
    if (this.#state !== 'quarantined') {
      await this.#task.catch(() => undefined)
      // From here on it is the end that takes its time.
      this.#startedAtMs = this.#clock.now()
      if (this.#state === 'starting' || this.#state === 'leaving') this.#to('ending')
      if (this.#state === 'ending') await this.host.release().catch(() => undefined)
    }
    return this.#terminate()
  }

  /** Leaves it to itself, or ends it; calls of `end` that have more time wait no longer either. */
  #leave(): Promise<true> {
    this.#giveUp()
    this.host.detach()
    return this.#terminate()
  }

  async #terminate(): Promise<true> {
    await this.host.terminate()
    this.exited()
    return true
  }
}
