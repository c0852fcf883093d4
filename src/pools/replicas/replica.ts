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

/** Minimum time in which a session is released and its thread ends, once its task is over. */
const END_MS = 1_000
/** Maximum of that time, because callers that wait for a release must not depend on a loader that hangs. */
export const RELEASE_MS = 5_000

const NO_TASK = Promise.resolve()
const NO_RUNS: readonly PlannedRun[] = Object.freeze([])

const isTrue = (): true => true

/** A replica: its host, its state, and its task. Only its own operations change its state. */
export class Replica {
  readonly host: ReplicaHost
  #state: ReplicaState = 'starting'
  #runs: readonly PlannedRun[] = NO_RUNS
  /** The reason why its thread has ended by itself; undefined otherwise. */
  #cause: Error | undefined
  #tasks = 0
  #knowsPlan = false
  #hasBackgroundWork = false
  #backgroundWorkAtMs = 0
  readonly #clock: Clock
  readonly #model: string
  readonly #version: string
  #startedAtMs: number
  /** Milliseconds of the task's time that count against its limit. */
  #chargedMs = 0
  /** Promise of the task under way. */
  #task: Promise<unknown> = NO_TASK
  #ending: Promise<true> | undefined
  /** Rejects once the replica is being ended, because a load that does not return must not hold up its caller. */
  readonly #abandoned: Promise<never>
  #abandon!: (error: Error) => void
  /** Resolves with false once its end is no longer awaited. */
  readonly #detached: Promise<false>
  #onDetached!: () => void

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
    this.#detached = new Promise((resolve) => {
      this.#onDetached = () => resolve(false)
    })
  }

  get state(): ReplicaState {
    return this.#state
  }

  get isRunning(): boolean {
    return this.#state === 'busy' || this.#state === 'leaving'
  }

  /** True while it serves requests: it has loaded its model, and stays. */
  get isServing(): boolean {
    return this.#state === 'idle' || this.#state === 'busy'
  }

  /** The runs assigned to it, in their order. */
  get runs(): readonly PlannedRun[] {
    return this.#runs
  }

  /** Number of tasks sent to it while it served. */
  get tasks(): number {
    return this.#tasks
  }

  /** True once its thread knows the layout of batches. */
  get knowsPlan(): boolean {
    return this.#knowsPlan
  }

  /** True while it has background work to do. */
  get hasBackgroundWork(): boolean {
    return this.#hasBackgroundWork
  }

  /** Time from which it may do background work although requests wait. */
  get backgroundWorkAtMs(): number {
    return this.#backgroundWorkAtMs
  }

  /** Records that its thread knows the layout of batches. */
  notePlan(): void {
    this.#knowsPlan = true
  }

  /** Records whether it has background work left, and from which time it may do it although requests wait. */
  noteBackgroundWork(isLeft: boolean, notBeforeMs = this.#backgroundWorkAtMs): void {
    this.#hasBackgroundWork = isLeft
    this.#backgroundWorkAtMs = notBeforeMs
  }

  /**
   * Charges the task under way for `ms`, but at most for the time that it has run; returns the sum of its charges.
   * Time in which a run waits for its turn is not charged.
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

  /** Loads the model. Rejects after `timeoutMs`, although the load itself goes on; 0 disables the limit. */
  load(task: LoadTask, timeoutMs: number): Promise<ReplicaReplies['load']> {
    return this.#start(this.host.load(task), 'loaded', timeoutMs)
  }

  /** Runs the sample before the replica serves, with the same limit. */
  warmUp(task: RunTask, timeoutMs: number): Promise<ReplicaReplies['run']> {
    return this.#start(this.host.run(task), 'warmed up', timeoutMs)
  }

  /** Moves to `idle`: the model is loaded, or a task is over. */
  markIdle(): void {
    this.#to('idle')
    this.#runs = NO_RUNS
    // The promise would retain the last outputs.
    this.#task = NO_TASK
  }

  /** Moves to `busy` with these runs or with other work, which `run` or `background` sends. */
  markBusy(runs: readonly PlannedRun[] = NO_RUNS): void {
    this.#to('busy')
    this.#runs = runs
  }

  /** Sends a pack. */
  run(nowMs: number, task: RunTask): Promise<ReplicaReplies['run']> {
    return this.#send(nowMs, this.#sent(task))
  }

  /** Sends background work. */
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
   * Rejects the requests of the run that it is in, and returns its other runs: those that had not begun, and those
   * whose outputs are lost with it.
   */
  abandon(error: unknown): readonly PlannedRun[] {
    const runs = this.#runs
    const culprit = runs[this.host.progress]
    this.#runs = NO_RUNS
    for (const request of culprit?.requests ?? []) request.reject(error)
    return runs.filter((run) => run !== culprit)
  }

  /** Moves to `quarantined`: the replica no longer keeps the process alive, and its end is not awaited. */
  quarantine(): void {
    this.#to('quarantined')
    void this.#detach()
  }

  /** Moves to `gone`: its thread has ended. The task and the host report that, in any order. */
  exited(cause?: Error): void {
    if (this.#state === 'gone') return
    this.#to('gone')
    this.#cause = cause
  }

  /** Throws if its thread has ended by itself, with the cause. A reply that came before may be read afterwards. */
  assertAlive(): void {
    if (this.#cause !== undefined) throw this.#cause
  }

  /**
   * Ends the replica: waits for the task under way for at most `timeoutMs`, then for the release of the session,
   * which has a limit of its own. A replica that has not ended by then is terminated if it is killable; otherwise it
   * is abandoned and no longer keeps the process alive. May be called again with another limit.
   */
  async end(timeoutMs: number): Promise<'ended' | 'stuck'> {
    this.#abandon(this.#stoppedError())
    this.#ending ??= this.#end()
    const endsAtMs = this.#clock.now() + timeoutMs
    const isTaskOver = this.#task.then(isTrue, isTrue)
    if (await withTimeout(this.#clock, Promise.race([isTaskOver, this.#detached]), timeoutMs)) {
      const restMs = Math.max(END_MS, Math.min(RELEASE_MS, endsAtMs - this.#clock.now()))
      if (await withTimeout(this.#clock, Promise.race([this.#ending, this.#detached]), restMs)) return 'ended'
    }
    if (this.#state !== 'quarantined' && this.#state !== 'gone') this.#to('quarantined')
    const gone = this.#detach()
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

  /** Sends the pack. A host that throws has failed like one that rejects. */
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
      `${this.#model}@${this.#version} was not ${what} within ${timeoutMs} ms; raise loadTimeoutMs if it needs longer`,
      { model: this.#model, version: this.#version },
    )
  }

  #stoppedError(): Error {
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
      // From here on the time counts for the end of the replica.
      this.#startedAtMs = this.#clock.now()
      if (this.#state === 'starting' || this.#state === 'leaving') this.#to('ending')
      if (this.#state === 'ending') await this.host.release().catch(() => undefined)
    }
    return this.#terminate()
  }

  /** Abandons the replica, or ends it if it is killable. Calls of `end` with more time stop waiting too. */
  #detach(): Promise<true> {
    this.#onDetached()
    this.host.detach()
    return this.#terminate()
  }

  async #terminate(): Promise<true> {
    await this.host.terminate()
    this.exited()
    return true
  }
}
