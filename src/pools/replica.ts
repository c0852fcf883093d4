import { errors, messageOf } from '../errors.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Clock } from '../platform/clock.js'
import type { LoadTask, ReplicaReplies, RunTask, SideTask } from '../protocol/messages.js'
import type { ChosenRun } from './choose-runs.js'
import { within } from './within.js'

/** A replica whose run has not returned: it is ended if it may be, else left to itself. */
export interface StuckReplica {
  readonly model: string
  readonly version: string
  readonly threadId: number | undefined
  readonly runningMs: number
}

/** `leaving` is busy with its last run. */
export type ReplicaState = 'starting' | 'idle' | 'busy' | 'leaving' | 'quarantined' | 'dead'

/** Time that a session always has to be released and its thread to end, once its task is over. */
const END_MS = 1_000
/** Time that they have at most: what the callers of a release wait for must not depend on a loader that hangs. */
export const RELEASE_MS = 5_000

const NO_TASK = Promise.resolve()
const NO_RUNS: readonly ChosenRun[] = Object.freeze([])

const isTrue = (): true => true

/** A host and what it is doing. */
export class Replica {
  readonly host: ReplicaHost
  state: ReplicaState = 'starting'
  /** What it runs, in this order. */
  runs: readonly ChosenRun[] = NO_RUNS
  /** How many it was given while it served. */
  tasks = 0
  /** Whether its thread knows how batches are laid out. */
  knowsPlan = false
  /** Whether it has work to do beside the callers', and from when on it may although some wait. */
  hasSideWork = false
  sideWorkAtMs = 0
  readonly #clock: Clock
  readonly #model: string
  readonly #version: string
  #startedAtMs: number
  /** What of the task's time counts against its limit. */
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

  get isRunning(): boolean {
    return this.state === 'busy' || this.state === 'leaving'
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

  /** Runs a pack. */
  run(runs: readonly ChosenRun[], nowMs: number, task: RunTask): Promise<ReplicaReplies['run']> {
    this.runs = runs
    return this.#busy(nowMs, this.#sent(task))
  }

  /** Works beside the callers' requests. */
  side(nowMs: number, task: SideTask): Promise<ReplicaReplies['side']> {
    return this.#busy(nowMs, this.host.side(task))
  }

  /** Returns why the run has no answer, once the replica has been given up. */
  stuckError({ model, version, runningMs }: StuckReplica): Error {
    const outcome = this.host.isKillable ? 'has been ended' : 'is in quarantine'
    return new errors.ERR_REPLICA_STUCK(
      `a run of ${model}@${version} has not returned for ${Math.round(runningMs)} ms; its replica ${outcome}`,
      { model, version },
    )
  }

  /** Returns why a task has no reply, as its callers get it: a host that fails says nothing of what they sent. */
  lossBy(error: unknown): Error {
    if (error instanceof errors.ERR_REPLICA_EXITED) return error
    const [model, version] = [this.#model, this.#version]
    return new errors.ERR_REPLICA_EXITED(
      `a replica of ${model}@${version} cannot be reached: ${messageOf(error)}`,
      { model, version, cause: error },
    )
  }

  /**
   * Gives up on what it runs: rejects the run that it is in, and returns those that it had not begun,
   * or whose answers are lost with it.
   */
  abandon(error: unknown): readonly ChosenRun[] {
    const { runs } = this
    const culprit = runs[this.host.progress]
    this.runs = NO_RUNS
    for (const request of culprit?.requests ?? []) request.reject(error)
    return runs.filter((run) => run !== culprit)
  }

  /** Gives it up: it keeps the process alive no longer, and nobody waits for its end. */
  quarantine(): void {
    this.state = 'quarantined'
    this.#giveUp()
    this.host.detach()
  }

  rest(): void {
    this.runs = NO_RUNS
    // It would hold the last answer.
    this.#task = NO_TASK
    this.state = 'idle'
  }

  /** Resolves when the task under way is over: with false if the thread died in it. */
  whenFree(): Promise<boolean> {
    return this.#task.then(isTrue, (error) => !(error instanceof errors.ERR_REPLICA_EXITED))
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
    if (await within(this.#clock, Promise.race([isTaskOver, this.#givenUp]), timeoutMs)) {
      const restMs = Math.max(END_MS, Math.min(RELEASE_MS, endsAtMs - this.#clock.now()))
      if (await within(this.#clock, Promise.race([this.#ending, this.#givenUp]), restMs)) return 'ended'
    }
    // Whoever has more time waits no longer either.
    this.#giveUp()
    this.host.detach()
    const gone = this.host.terminate().then(isTrue)
    return this.host.isKillable && (await within(this.#clock, gone, END_MS)) ? 'ended' : 'stuck'
  }

  /** A host that throws has failed as one that rejects has. */
  #sent(task: RunTask): Promise<ReplicaReplies['run']> {
    try {
      return this.host.run(task)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #busy<T>(nowMs: number, task: Promise<T>): Promise<T> {
    this.state = 'busy'
    this.tasks += 1
    this.#startedAtMs = nowMs
    this.#chargedMs = 0
    this.#task = task
    return task
  }

  async #start<T>(starting: Promise<T>, what: string, timeoutMs: number): Promise<T> {
    this.#task = starting.catch(() => undefined)
    const waiting = Promise.race([starting, this.#abandoned])
    const reply = await (timeoutMs === 0 ? waiting : within(this.#clock, waiting, timeoutMs))
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
    if (this.state !== 'quarantined') {
      await this.#task.catch(() => undefined)
      // From here on it is the end that takes its time.
      this.#startedAtMs = this.#clock.now()
      if (this.state !== 'dead') await this.host.release().catch(() => undefined)
    }
    await this.host.terminate()
    return true
  }
}
