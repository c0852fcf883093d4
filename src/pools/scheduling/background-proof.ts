import { UnsendableTask } from '../../hosts/replica-host.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { decodeError } from '../../protocol/error-codec.js'
import type { Failure } from '../../protocol/failure.js'
import type { Proof, ProofTrial, Tried } from '../../protocol/replica/proof.js'
import type { BackgroundDone, BatchFault } from '../../protocol/replica/replica-replies.js'
import type { BackgroundTask, RunShape } from '../../protocol/replica/replica-task.js'
import type { Batching, BatchingSettings } from '../batching/batching.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { Replica } from '../replicas/replica.js'
import type { ReplicaSet } from '../replicas/replica-set.js'
import type { PoolLife } from '../settings/pool-life.js'
import type { PoolListener } from '../settings/pool-settings.js'

/** Multiple of its background time that a replica spends on requests while some wait. */
const REQUESTS_SHARE = 9
/** Maximum expected duration of a run of the proof before the pool serves requests. */
const START_RUN_MS = 500
/** Maximum duration of the proof before the pool serves requests. */
const START_MS = 5_000
/** Maximum time for which a trial is awaited before the pool serves requests. */
const START_TRIAL_MS = 30_000

export interface BackgroundProofEvents {
  /** Requests can share runs from now on, or no longer. */
  batchingChanged(): void
  /** The background work of the replica has ended. */
  taskEnded(replica: Replica): void
}

/** Lets replicas do background work between requests: the proof of batching, and checks of batches. */
export class BackgroundProof {
  readonly #clock: Clock
  readonly #life: PoolLife
  readonly #batching: Batching
  readonly #replicas: ReplicaSet
  readonly #listener: PoolListener
  #events!: BackgroundProofEvents
  /** The replica whose thread looks for the proof. */
  #prover: Replica | undefined
  #isOrdered = false
  /** The trial that the prover has requested, until it has ended. */
  #trying: Promise<void> | undefined
  /** The outcome of the last trial, until the prover receives it. */
  #tried: Tried | undefined

  constructor(
    clock: Clock,
    life: PoolLife,
    batching: Batching,
    replicas: ReplicaSet,
    listener: PoolListener,
  ) {
    this.#clock = clock
    this.#life = life
    this.#batching = batching
    this.#replicas = replicas
    this.#listener = listener
  }

  /** Sets the listener. To be called once, before any work; `events` may refer to objects built over this. */
  attach(events: BackgroundProofEvents): void {
    this.#events = events
  }

  /** Returns the role of a run in proofs; `isFirst` is true for the first run of its pack. */
  keepOf(replica: Replica, { requests, rows }: PlannedRun, isFirst: boolean): RunShape['keep'] {
    if (requests.length === 1) return isFirst && this.#wantsSampleFrom(replica) ? 'sample' : undefined
    const trial = this.#batching.trialOf(requests, rows)
    return trial ?? (this.#batching.countBatch(requests.length) ? 'check' : undefined)
  }

  #wantsSampleFrom(replica: Replica): boolean {
    if (!this.#batching.isUndecided) return false
    if (this.#prover !== undefined && !this.#replicas.has(this.#prover)) this.#startOver()
    this.#prover ??= replica
    return this.#prover === replica && this.#batching.wantsSample
  }

  /**
   * Begins background work on an idle replica if it has some that is due although requests wait; returns true if so.
   */
  start(replica: Replica, nowMs: number): boolean {
    if (!this.#hasWork(replica) || nowMs < replica.backgroundWorkAtMs) return false
    this.#begin(replica, nowMs)
    return true
  }

  /** Begins background work on every idle replica that has some, because no request waits. */
  startAll(nowMs: number): void {
    for (;;) {
      const replica = this.#replicas.idle.first((candidate) => this.#hasWork(candidate))
      if (replica === undefined) return
      this.#begin(replica, nowMs)
    }
  }

  /**
   * Does the background work of a replica before the pool serves requests, until nothing is left or the pool is
   * stopped.
   */
  async finish(replica: Replica): Promise<void> {
    this.#prover = replica
    let endsAtMs = this.#clock.now() + START_MS
    for (
      let nowMs = this.#clock.now();
      nowMs < endsAtMs && !this.#life.isStopped;
      nowMs = this.#clock.now()
    ) {
      if (this.#hasWork(replica)) await this.#work(replica, nowMs, START_RUN_MS)
      else if (this.#trying === undefined) return
      else {
        await this.#trialOrEnd()
        if (this.#trying !== undefined) return
        endsAtMs += this.#clock.now() - nowMs
      }
      if (replica.state !== 'busy') return
    }
  }

  #begin(replica: Replica, nowMs: number): void {
    this.#replicas.idle.assign(replica)
    const unexpected = (error: unknown): void => this.#listener.unexpected(error)
    void this.#work(replica, nowMs)
      .catch(unexpected)
      .then(() => this.#events.taskEnded(replica))
      .catch(unexpected)
  }

  async #trialOrEnd(): Promise<void> {
    let timer: Timer | undefined
    const limit = new Promise<void>((resolve) => {
      timer = this.#clock.setTimeout(resolve, START_TRIAL_MS)
    })
    await Promise.race([this.#trying, limit, this.#life.stopped])
    this.#clock.clear(timer)
  }

  /** Starts a trial beside the requests; the prover continues with its outcome. */
  #try(replica: Replica, trial: ProofTrial): void {
    const { tryFirst } = this.#batching.settings as BatchingSettings
    const nowhere: Tried = { state: 'nowhere' }
    this.#trying = Promise.resolve(tryFirst?.(trial) ?? nowhere).then((tried) => {
      this.#trying = undefined
      if (this.#life.isStopped || this.#prover !== replica || !this.#replicas.has(replica)) return
      this.#tried = tried
      this.startAll(this.#clock.now())
    })
    this.#trying.catch((error: unknown) => this.#listener.unexpected(error))
  }

  /** Disables batching, because the outputs of a batch differed from those of its requests alone. */
  disableBatching(fault: BatchFault): void {
    if (!this.#batching.disable(fault)) return
    this.#events.batchingChanged()
    this.#listener.batchingFailed(fault.reason)
  }

  #hasWork(replica: Replica): boolean {
    return replica.hasBackgroundWork || (replica === this.#prover && this.#tried !== undefined)
  }

  /** Discards the findings of a lost thread; another one has to find them again. */
  #startOver(): void {
    this.#prover = undefined
    this.#isOrdered = false
    this.#tried = undefined
    this.#batching.restart()
  }

  /**
   * Does one stretch of background work. A run that is expected to take longer than `maxRunMs` is not tried; default:
   * the budget of the whole stretch.
   */
  async #work(replica: Replica, nowMs: number, maxRunMs?: number): Promise<void> {
    const { proofBudgetMs, tolerance } = this.#batching.settings as BatchingSettings
    const isOrder = replica === this.#prover && !this.#isOrdered && this.#batching.isUndecided
    if (isOrder) this.#isOrdered = true
    const task: BackgroundTask = {
      kind: 'background',
      budgetMs: proofBudgetMs,
      maxRunMs: maxRunMs ?? proofBudgetMs,
      tolerance,
      prove: isOrder ? this.#batching.order : undefined,
      tried: replica === this.#prover ? this.#tried : undefined,
    }
    if (replica === this.#prover) this.#tried = undefined
    replica.noteBackgroundWork(false)
    let reply: BackgroundDone | Failure
    try {
      reply = await replica.background(nowMs, task)
    } catch (error) {
      if (error instanceof UnsendableTask) throw error
      this.#replicas.onTaskLost(replica, error)
      return
    }
    const endedAtMs = this.#clock.now()
    replica.noteBackgroundWork(
      reply.ok && reply.hasBackgroundWork,
      endedAtMs + REQUESTS_SHARE * (endedAtMs - nowMs),
    )
    if (reply.ok) this.#take(replica, reply)
    else this.#learn({ state: 'refused', reason: decodeError(reply.error).message })
  }

  #take(replica: Replica, { proof, trial, checks, fault }: BackgroundDone): void {
    this.#batching.countChecks(checks)
    if (fault !== undefined) this.disableBatching(fault)
    if (proof !== undefined) this.#learn(proof)
    if (trial !== undefined) this.#try(replica, trial)
  }

  #learn(proof: Proof): void {
    if (!this.#batching.isUndecided || !this.#batching.learn(proof)) return
    this.#events.batchingChanged()
    this.#listener.batchingDecided(proof.state === 'refused' ? proof.reason : undefined)
  }
}
