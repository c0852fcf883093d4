import { errors } from '../errors.js'
import { decodeError } from '../protocol/error-codec.js'
import type { BatchFault, Failure, Proof, RunShape, SideDone, SideTask } from '../protocol/messages.js'
import type { Batching, BatchingSettings } from './batching.js'
import type { ChosenRun } from './choose-runs.js'
import type { PoolListener } from './pool-settings.js'
import type { Replica } from './replica.js'
import type { ReplicaSet } from './replica-set.js'

/** While requests wait, a replica works so many times as long on them as beside them. */
const REQUESTS_SHARE = 9
/** Before a pool has callers no run of the proof may take longer. */
const START_RUN_MS = 500
/** And all of it not longer than that. */
const START_MS = 5_000

/** What replicas do between the callers' requests: the proof of batching, and checks of batches. */
export class SideWork {
  readonly #batching: Batching
  readonly #replicas: ReplicaSet
  readonly #listener: PoolListener
  /** Called when requests can share runs from now on, or cannot any more. */
  readonly #changed: () => void
  /** The replica whose thread looks for the proof. */
  #prover: Replica | undefined
  #isOrdered = false

  constructor(batching: Batching, replicas: ReplicaSet, listener: PoolListener, changed: () => void) {
    this.#batching = batching
    this.#replicas = replicas
    this.#listener = listener
    this.#changed = changed
  }

  /** Returns what the thread is to remember of a run; `isFirst` tells that it is the first of its pack. */
  keepOf(replica: Replica, { requests, rows }: ChosenRun, isFirst: boolean): RunShape['keep'] {
    if (requests.length === 1) return isFirst && this.#wantsSampleFrom(replica) ? 'sample' : undefined
    const trial = this.#batching.trialOf(requests, rows)
    return trial ?? (this.#batching.countBatch(requests.length) ? 'check' : undefined)
  }

  #wantsSampleFrom(replica: Replica): boolean {
    if (!this.#batching.isOpen) return false
    if (this.#prover !== undefined && !this.#replicas.has(this.#prover)) this.#startOver()
    this.#prover ??= replica
    return this.#prover === replica && this.#batching.wantsSample
  }

  /** Begins a stretch of work on an idle replica if it is due; `free` is called with the replica afterwards. */
  start(
    replica: Replica,
    isNobodyWaiting: boolean,
    nowMs: number,
    free: (replica: Replica) => void,
  ): boolean {
    const isDue = replica.hasSideWork && (isNobodyWaiting || nowMs >= replica.sideWorkAtMs)
    if (!isDue) return false
    void this.#work(replica, nowMs)
      .catch((error: unknown) => this.#listener.unexpected(error))
      .then(() => {
        if (replica.state === 'busy') free(replica)
      })
    return true
  }

  /** Begins a stretch of work on every idle replica that has some. */
  startAll(nowMs: number, free: (replica: Replica) => void): void {
    for (;;) {
      const replica = this.#replicas.takeIdle(({ hasSideWork }) => hasSideWork)
      if (replica === undefined) return
      this.start(replica, true, nowMs, free)
    }
  }

  /** Works on a replica until nothing is left to do or `isClosed()`, before there are callers. */
  async finish(replica: Replica, isClosed: () => boolean): Promise<void> {
    this.#prover = replica
    const endsAtMs = performance.now() + START_MS
    for (let nowMs = performance.now(); replica.hasSideWork && nowMs < endsAtMs; nowMs = performance.now()) {
      // Its session is about to be released: nothing may be sent beside that.
      if (isClosed()) return
      await this.#work(replica, nowMs, START_RUN_MS)
      if (replica.state !== 'busy') return
    }
  }

  /** A batch was answered otherwise than its requests one by one. */
  turnOff(fault: BatchFault): void {
    if (!this.#batching.turnOff(fault)) return
    this.#changed()
    this.#listener.batchingFailed(fault.reason)
  }

  /** What a thread that is gone had found out has to be found out again. */
  #startOver(): void {
    this.#prover = undefined
    this.#isOrdered = false
    this.#batching.startOver()
  }

  /** No run that is expected to take longer than `maxRunMs` is tried; by default as long as all of it may. */
  async #work(replica: Replica, nowMs: number, maxRunMs?: number): Promise<void> {
    const { proofBudgetMs, tolerance } = this.#batching.settings as BatchingSettings
    const isOrder = replica === this.#prover && !this.#isOrdered && this.#batching.isOpen
    if (isOrder) this.#isOrdered = true
    const task: SideTask = {
      kind: 'side',
      budgetMs: proofBudgetMs,
      maxRunMs: maxRunMs ?? proofBudgetMs,
      tolerance,
      prove: isOrder ? this.#batching.order : undefined,
    }
    replica.hasSideWork = false
    let reply: SideDone | Failure
    try {
      reply = await replica.side(nowMs, task)
    } catch (error) {
      // The thread is gone; its end is dealt with where it is noticed.
      if (!(error instanceof errors.ERR_REPLICA_EXITED)) throw error
      if (replica.state === 'busy') replica.state = 'dead'
      return
    }
    const endedAtMs = performance.now()
    replica.sideWorkAtMs = endedAtMs + REQUESTS_SHARE * (endedAtMs - nowMs)
    if (reply.ok) this.#take(replica, reply)
    else this.#learn({ state: 'refused', reason: decodeError(reply.error).message })
  }

  #take(replica: Replica, { hasSideWork, proof, checks, fault }: SideDone): void {
    replica.hasSideWork = hasSideWork
    this.#batching.countChecks(checks)
    if (fault !== undefined) this.turnOff(fault)
    if (proof !== undefined) this.#learn(proof)
  }

  #learn(proof: Proof): void {
    if (!this.#batching.isOpen || !this.#batching.learn(proof)) return
    this.#changed()
    this.#listener.batchingDecided(proof.state === 'refused' ? proof.reason : undefined)
  }
}
