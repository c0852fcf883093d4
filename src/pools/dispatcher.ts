import type { AsyncResource } from 'node:async_hooks'
import { errors } from '../errors.js'
import { asRuntimeError, decodeError } from '../protocol/error-codec.js'
import type { Failure, RunDone, RunResult } from '../protocol/messages.js'
import type { BatchPlan } from '../tensors/batch-plan.js'
import { RecycledBuffers } from '../tensors/recycled-buffers.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import { AnswerReader } from './answers.js'
import type { Batching } from './batching.js'
import { type Choice, type ChosenRun, chooseRuns, couldGrow, type Demand, waitingMs } from './choose-runs.js'
import { aloneRun, checkIntact, type Packed, type PackedRun, writePack } from './pack.js'
import type { PoolListener, PoolSettings } from './pool-settings.js'
import type { Replica } from './replica.js'
import type { ReplicaSet } from './replica-set.js'
import type { RequestQueue } from './request-queue.js'
import { RunCosts } from './run-cost.js'
import type { RunRequest } from './run-request.js'
import { settleRun } from './settle-run.js'
import { SideWork } from './side-work.js'

/** A timer may come so much too late. */
const TIMER_SLACK_MS = 20
/** Room that is left for an answer of a row while nothing is known of answers. */
const FIRST_ANSWER_BYTES = 1_024

/** A pack that is under way. */
interface Flight {
  readonly runs: readonly ChosenRun[]
  readonly plan: BatchPlan | undefined
}

/** Gives what is queued to the replicas that are idle, and what they answer to the callers. */
export class Dispatcher {
  readonly #settings: PoolSettings
  readonly #queue: RequestQueue
  readonly #replicas: ReplicaSet
  readonly #batching: Batching
  readonly #sideWork: SideWork
  readonly #buffers = new RecycledBuffers()
  readonly #costs = new RunCosts()
  #signature: Signature = { inputs: [], outputs: [] }
  #answers = new AnswerReader(this.#signature)
  /** What answers take of a buffer for each row, as last seen. */
  #answerBytes = FIRST_ANSWER_BYTES
  #delay: NodeJS.Timeout | undefined
  /** Runs of packs whose replica is gone. */
  #orphans: ChosenRun[] = []
  #refusal: Error | undefined
  #willFlush = false
  #isClosed = false
  /** Packs are sent in here, not in the context of the request that comes or leaves. */
  readonly #scope: AsyncResource

  constructor(
    settings: PoolSettings,
    queue: RequestQueue,
    replicas: ReplicaSet,
    batching: Batching,
    listener: PoolListener,
    scope: AsyncResource,
  ) {
    this.#scope = scope
    this.#settings = settings
    this.#queue = queue
    this.#replicas = replicas
    this.#batching = batching
    this.#sideWork = new SideWork(batching, replicas, listener, () => {
      queue.sort((request) => batching.bucketOf(request))
    })
  }

  /** To be called when the model is loaded, before anything else. */
  open(signature: Signature): void {
    this.#signature = signature
    this.#answers = new AnswerReader(signature)
    this.#batching.open(signature)
  }

  /** Looks for the proof of batching with an input known to be valid, before there are callers. */
  async proveWith(inputs: readonly Tensor[]): Promise<void> {
    const replica = this.#batching.isOpen ? this.#replicas.takeIdle() : undefined
    if (replica === undefined) return
    const run = aloneRun(inputs, 'typical')
    const { task, transfer } = writePack(this.#signature, [run], undefined, this.#buffers, this.#answerBytes)
    try {
      const reply = await replica.run([], performance.now(), task, transfer)
      if (reply.ok) replica.hasSideWork = reply.hasSideWork
      await this.#sideWork.finish(replica, () => this.#isClosed)
    } finally {
      if (replica.state === 'busy') this.#replicas.rest(replica)
    }
  }

  /** Every request that a replica is running. */
  *inFlight(): Generator<RunRequest> {
    for (const { runs } of this.#replicas.all()) for (const { requests } of runs) yield* requests
    for (const { requests } of this.#orphans) yield* requests
  }

  /** Takes what a replica was sent and has not begun: another one gets it, before all that is queued. */
  takeBack(runs: readonly ChosenRun[], error: unknown): void {
    for (const { requests } of runs) {
      for (const request of requests) {
        // Its input is with the thread.
        if (this.#refusal !== undefined || request.transfer) request.reject(this.#refusal ?? error)
        // One by one: by now it may be known that they must not share a run.
        else this.#orphans.push({ requests: [request], rows: request.rows })
      }
    }
  }

  /** No replica will come for what others had not begun: it is rejected, now and later. */
  refuseOrphans(error: Error): void {
    this.#refusal = error
    for (const { requests } of this.#orphans.splice(0)) for (const request of requests) request.reject(error)
  }

  /** How long it will take to have done what is queued, in milliseconds, as far as is known. */
  backlogMs(): number {
    return waitingMs(this.#demand()) / this.#replicas.wanted
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#delay)
    this.#buffers.clear()
  }

  /** Sends what is queued, for as long as replicas are idle. */
  flush(): void {
    this.#scope.runInAsyncScope(this.#flush, this)
  }

  /** The same once all callers that are under way have asked. */
  flushSoon(): void {
    if (this.#willFlush) return
    this.#willFlush = true
    process.nextTick(() => {
      this.#willFlush = false
      this.flush()
    })
  }

  #flush(): void {
    if (this.#isClosed) return
    while (this.#queue.size + this.#orphans.length > 0 && this.#replicas.idleCount > 0) {
      const nowMs = performance.now()
      const hasOrphans = this.#orphans.length > 0
      if (!hasOrphans && this.#waitsForMore(nowMs)) return
      const choice = this.#choice(nowMs)
      const replica = this.#replicas.takeIdle() as Replica
      const isBusy = hasOrphans
        ? this.#send(replica, this.#orphans.splice(0), nowMs)
        : this.#sideWork.start(replica, false, nowMs, this.#resume) ||
          this.#send(replica, chooseRuns(choice), nowMs)
      if (!isBusy) this.#replicas.rest(replica)
    }
    if (this.#queue.size === 0) this.#sideWork.startAll(performance.now(), this.#resume)
  }

  readonly #resume = (replica: Replica): void => {
    this.#replicas.rest(replica)
    this.#flush()
  }

  #demand(): Demand {
    return {
      queue: this.#queue,
      batching: this.#batching,
      costs: this.#costs,
      maxPackBytes: this.#settings.maxPackBytes,
      answerBytes: this.#answerBytes,
    }
  }

  #choice(nowMs: number): Choice {
    return {
      ...this.#demand(),
      replicas: this.#replicas.wanted,
      idle: this.#replicas.idleCount,
      nowMs,
      maxPackMs: this.#settings.maxPackMs,
    }
  }

  /** Whether the next request may wait for others to share its run, although a replica is idle. */
  #waitsForMore(nowMs: number): boolean {
    const maxDelayMs = this.#settings.batching?.maxDelayMs ?? 0
    const head = maxDelayMs === 0 ? undefined : this.#queue.first()
    if (head === undefined) return false
    const runMs = head.bucket?.costs.batchMs(this.#batching.maxRows) ?? 0
    const latestAtMs = head.deadlineAtMs - runMs - TIMER_SLACK_MS
    const waitMs = Math.min(head.startedAtMs + maxDelayMs, latestAtMs) - nowMs
    if (waitMs <= 0 || !couldGrow(this.#demand(), head)) return false
    clearTimeout(this.#delay)
    this.#delay = setTimeout(() => this.#flush(), waitMs)
    return true
  }

  /** Whether the replica has something to run; an input that cannot be copied is rejected. */
  #send(replica: Replica, chosen: readonly ChosenRun[], nowMs: number): boolean {
    const runs = chosen.flatMap((run) => this.#start(run, nowMs))
    if (runs.length === 0) return false
    const { plan } = this.#batching
    const isFirstBatch =
      plan !== undefined && !replica.knowsPlan && runs.some(({ requests }) => requests.length > 1)
    if (isFirstBatch) replica.knowsPlan = true
    const packed = runs.map((run, index): PackedRun => {
      return { requests: run.requests as readonly Packed[], keep: this.#keep(replica, run, index === 0) }
    })
    const rows = runs.reduce((sum, run) => sum + run.rows, 0)
    const { task, transfer } = writePack(
      this.#signature,
      packed,
      plan,
      this.#buffers,
      rows * this.#answerBytes,
    )
    replica.run(runs, nowMs, isFirstBatch ? { ...task, plan } : task, transfer).then(
      (reply) => this.#land(replica, { runs, plan }, reply),
      (error: unknown) => this.#miss(replica, runs, error),
    )
    return true
  }

  /** What the thread is to remember of a run. */
  #keep(replica: Replica, { requests, rows }: ChosenRun, isFirst: boolean): PackedRun['keep'] {
    if (requests.length === 1) {
      return isFirst && this.#sideWork.wantsSampleFrom(replica) ? 'sample' : undefined
    }
    const trial = this.#batching.trialOf(requests, rows)
    return trial ?? (this.#batching.countBatch(requests.length) ? 'check' : undefined)
  }

  /** The run with the requests of it that can be sent. */
  #start(run: ChosenRun, nowMs: number): ChosenRun[] {
    const requests: RunRequest[] = []
    let rows = 0
    for (const request of run.requests) {
      try {
        checkIntact(this.#signature, request.inputs as readonly Tensor[])
        if (request.stage !== 'in-flight') request.start(nowMs)
      } catch (error) {
        request.reject(
          asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be copied', error, this.#subject()),
        )
      }
      // A listener of the tracker may have aborted it just now.
      if (request.isSettled) continue
      requests.push(request)
      rows += request.rows
    }
    return requests.length === 0 ? [] : [{ requests, rows }]
  }

  #land(replica: Replica, { runs, plan }: Flight, reply: RunDone | Failure): void {
    const isFree = replica.state === 'busy'
    if (!reply.ok) {
      if (isFree) this.#resume(replica)
      const error = decodeError(reply.error)
      for (const { requests } of runs) for (const request of requests) request.reject(error)
      return
    }
    replica.hasSideWork = reply.hasSideWork
    for (const [index, result] of reply.results.entries()) this.#observe(runs[index] as ChosenRun, result)
    if (isFree) this.#free(replica)
    const nowMs = performance.now()
    for (const [index, result] of reply.results.entries()) {
      settleRun(this.#answers, runs[index] as ChosenRun, plan, result, reply.buffer, nowMs)
    }
    if (reply.buffer !== undefined) this.#buffers.give(reply.buffer)
  }

  /** The next pack is on its way before callers are told, unless what they ask next could join its batch. */
  #free(replica: Replica): void {
    const head = this.#queue.first()
    if (head !== undefined && !couldGrow(this.#demand(), head)) {
      this.#resume(replica)
      return
    }
    this.#replicas.rest(replica)
    this.flushSoon()
  }

  #observe({ requests, rows }: ChosenRun, result: RunResult): void {
    if ('fault' in result && result.fault !== undefined) this.#sideWork.turnOff(result.fault)
    const [first] = requests as [RunRequest]
    if ('trial' in result) this.#batching.learnShape(first.bucket, rows, result.trial)
    if (!('ms' in result) || result.ms === undefined) return
    first.bucket?.costs.observe(rows, result.ms)
    if (requests.length === 1) this.#costs.observe(rows, result.ms)
    if ('answer' in result) {
      this.#answerBytes = Math.ceil(this.#answers.bytesOf(result.answer, first.outputs, rows) / rows)
    }
  }

  /** The pack gave no reply: the thread died, or the message could not be sent. */
  #miss(replica: Replica, runs: readonly ChosenRun[], error: unknown): void {
    if (error instanceof errors.ERR_REPLICA_EXITED) {
      // One that was given up as stuck has been dealt with.
      if (replica.state !== 'quarantined') this.takeBack(replica.abandon(error), error)
      if (replica.state === 'busy') replica.state = 'dead'
      this.#flush()
      return
    }
    if (replica.state === 'busy') this.#resume(replica)
    const told = asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be sent', error, this.#subject())
    for (const { requests } of runs) for (const request of requests) request.reject(told)
  }

  #subject(): { model: string; version: string } {
    return { model: this.#settings.model, version: this.#settings.version }
  }
}
