import type { AsyncResource } from 'node:async_hooks'
import { UnsendableTask } from '../hosts/replica-host.js'
import type { Clock, Timer } from '../platform/clock.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import type { RunResult, RunTask } from '../protocol/messages.js'
import type { BatchPlan } from '../tensors/batch-plan.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import type { Batching } from './batching.js'
import { type Choice, type ChosenRun, chooseRuns, couldGrow, waitingMs } from './choose-runs.js'
import { aloneRun, type Packed, type PackedRun } from './pack.js'
import { PackAssembler } from './pack-assembler.js'
import type { PoolListener, PoolSettings } from './pool-settings.js'
import { readReply } from './read-reply.js'
import type { Replica } from './replica.js'
import type { ReplicaSet } from './replica-set.js'
import type { RequestQueue } from './request-queue.js'
import { openOf, Requeue } from './requeue.js'
import { RunCosts } from './run-cost.js'
import type { RunRequest } from './run-request.js'
import { settleRun } from './settle-run.js'
import { SideWork } from './side-work.js'

/** A timer may come so much too late. */
const TIMER_SLACK_MS = 20

/** A pack that is under way. */
interface Flight {
  readonly runs: readonly ChosenRun[]
  readonly plan: BatchPlan | undefined
  /** Whether the thread is told the plan with it. */
  readonly tellsPlan: boolean
}

/** Gives what is queued to the replicas that are idle, and what they answer to the callers. */
export class Dispatcher {
  readonly #settings: PoolSettings
  readonly #clock: Clock
  readonly #queue: RequestQueue
  readonly #replicas: ReplicaSet
  readonly #batching: Batching
  readonly #sideWork: SideWork
  readonly #packs: PackAssembler
  readonly #costs = new RunCosts()
  #delay: Timer | undefined
  readonly #requeue = new Requeue()
  readonly #listener: PoolListener
  /** Nothing is sent while it is set. */
  isHeld = false
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
    this.#listener = listener
    this.#settings = settings
    this.#clock = settings.clock
    this.#packs = new PackAssembler(settings.ballast)
    this.#queue = queue
    this.#replicas = replicas
    this.#batching = batching
    this.#sideWork = new SideWork(settings.clock, batching, replicas, listener, () => {
      queue.sort((request) => batching.bucketOf(request))
    })
  }

  /** To be called when the model is loaded, before anything else. */
  open(signature: Signature): void {
    this.#packs.open(signature)
    this.#batching.open(signature)
  }

  /** Looks for the proof of batching with an input known to be valid, before there are callers. */
  async proveWith(inputs: readonly Tensor[]): Promise<void> {
    const replica = this.#batching.isOpen ? this.#replicas.takeIdle() : undefined
    if (replica === undefined) return
    try {
      const run = aloneRun(inputs, 'typical')
      const pack = this.#packs.write([run], 1, undefined)
      const reply = await replica.run([], this.#clock.now(), pack)
      replica.hasSideWork = readReply(reply, 1).hasSideWork
      await this.#sideWork.finish(replica)
    } finally {
      if (replica.state === 'busy' || replica.state === 'idle') this.#replicas.rest(replica)
    }
  }

  /** Every request that a replica is running, or is to run again. */
  *inFlight(): Generator<RunRequest> {
    for (const { runs } of this.#replicas.all()) for (const { requests } of runs) yield* requests
    yield* this.#requeue.requests()
  }

  /** Takes what a replica was sent and has not begun: another one gets it, before all that is queued. */
  takeBack(runs: readonly ChosenRun[], error: unknown): void {
    this.#requeue.takeBack(runs, error)
  }

  /** No replica will come for what others had not begun: it is rejected, now and later. */
  refuseOrphans(error: Error): void {
    this.#requeue.refuse(error)
  }

  /** Time until what is queued is done, in milliseconds, as far as is known. */
  backlogMs(): number {
    return waitingMs(this.#choice(this.#clock.now())) / this.#replicas.wanted
  }

  /** Nothing is sent any more; what comes back from a replica is rejected. */
  close(error: Error): void {
    this.#isClosed = true
    this.#requeue.refuse(error)
    this.#clock.clear(this.#delay)
    this.#sideWork.close()
    this.#packs.clear()
  }

  /** Sends what is queued, for as long as replicas are idle. */
  flush(): void {
    this.#scope.runInAsyncScope(this.#flush, this)
  }

  /** The same once all callers that are under way have asked. */
  flushSoon(): void {
    if (this.#willFlush) return
    this.#willFlush = true
    this.#clock.nextTick(() => {
      this.#willFlush = false
      this.flush()
    })
  }

  /** The boundary of every tick, timer and reply that sends: what throws in here costs one request at most. */
  #flush(): void {
    try {
      while (!this.#isClosed && this.#sendNext()) {}
      if (!this.#isClosed && this.#queue.size === 0) {
        this.#sideWork.startAll(this.#clock.now(), this.#resume)
      }
    } catch (error) {
      this.#listener.unexpected(error)
      const next = this.#queue.shift()
      if (next === undefined) return
      next.reject(this.#unsent(error))
      this.flushSoon()
    }
  }

  /** Gives an idle replica what it runs next; false if there is neither. */
  #sendNext(): boolean {
    const hasRequeued = this.#requeue.size > 0
    if (this.isHeld || this.#replicas.idleCount === 0) return false
    const nowMs = this.#clock.now()
    if (!hasRequeued && (this.#queue.size === 0 || this.#waitsForMore(nowMs))) return false
    const choice = this.#choice(nowMs)
    const replica = this.#replicas.takeIdle() as Replica
    let isBusy = false
    try {
      isBusy = hasRequeued
        ? this.#send(replica, this.#requeue.next(), nowMs)
        : this.#sideWork.start(replica, false, nowMs, this.#resume) ||
          this.#send(replica, chooseRuns(choice), nowMs)
    } finally {
      if (!isBusy) this.#replicas.rest(replica)
    }
    return true
  }

  readonly #resume = (replica: Replica): void => {
    this.#replicas.rest(replica)
    this.#flush()
  }

  /** One literal: copying the fields of another object costs a request 2 us. */
  #choice(nowMs: number): Choice {
    return {
      queue: this.#queue,
      batching: this.#batching,
      costs: this.#costs,
      maxPackBytes: this.#settings.maxPackBytes,
      answerBytes: this.#packs.answerBytes,
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
    if (waitMs <= 0 || !couldGrow(this.#choice(nowMs), head)) return false
    this.#clock.clear(this.#delay)
    this.#delay = this.#clock.setTimeout(() => this.#flush(), waitMs)
    return true
  }

  /** Whether the replica has something to run. */
  #send(replica: Replica, chosen: readonly ChosenRun[], nowMs: number): boolean {
    const runs = this.#start(chosen, nowMs)
    if (runs.length === 0) return false
    const { plan } = this.#batching
    const tellsPlan =
      plan !== undefined && !replica.knowsPlan && runs.some(({ requests }) => requests.length > 1)
    try {
      const pack = this.#pack(replica, runs)
      const reply = replica.run(runs, nowMs, tellsPlan ? { ...pack, plan } : pack)
      reply.then(
        (done) => this.#land(replica, { runs, plan, tellsPlan }, done),
        (error: unknown) => this.#miss(replica, runs, error),
      )
      return true
    } catch (error) {
      this.#requeue.separate(runs, error)
      return false
    }
  }

  #pack(replica: Replica, runs: readonly ChosenRun[]): RunTask {
    let rows = 0
    const packed = runs.map((run, index): PackedRun => {
      rows += run.rows
      return {
        requests: run.requests as readonly Packed[],
        keep: this.#sideWork.keepOf(replica, run, index === 0),
      }
    })
    return this.#packs.write(packed, rows, this.#batching.plan)
  }

  /** The runs with the requests of them that can be sent; an input that cannot be copied is rejected. */
  #start(chosen: readonly ChosenRun[], nowMs: number): readonly ChosenRun[] {
    let isWhole = true
    for (const { requests } of chosen) {
      for (const request of requests) {
        try {
          // A listener of the tracker may have settled it when another one began.
          if (!request.isSettled) this.#packs.checkIntact(request.inputs as readonly Tensor[])
          if (!request.isSettled && request.stage !== 'in-flight') request.start(nowMs)
        } catch (error) {
          request.reject(this.#unsent(error))
        }
      }
    }
    for (const { requests } of chosen) for (const { isSettled } of requests) if (isSettled) isWhole = false
    return isWhole ? chosen : chosen.flatMap(openOf)
  }

  /** The boundary of a reply: the replica goes on, and no request of the pack stays open. */
  #land(replica: Replica, { runs, plan, tellsPlan }: Flight, done: unknown): void {
    const { results, buffer, hasSideWork, isRead } = readReply(done, runs.length)
    const isFree = replica.state === 'busy'
    try {
      replica.hasSideWork = hasSideWork
      if (tellsPlan && isRead) replica.knowsPlan = true
      for (const [index, run] of runs.entries()) this.#observe(run, results[index])
      if (isFree) this.#free(replica)
    } catch (error) {
      this.#listener.unexpected(error)
      if (isFree && replica.state === 'busy') this.#resume(replica)
    }
    const reading = { answers: this.#packs.answers, plan, buffer, nowMs: this.#clock.now() }
    for (const [index, { requests }] of runs.entries()) settleRun(reading, requests, results[index])
    if (buffer !== undefined) this.#packs.give(buffer)
  }

  /** The next pack is on its way before callers are told, unless what they ask next could join its batch. */
  #free(replica: Replica): void {
    const head = this.#queue.first()
    if (head !== undefined && !couldGrow(this.#choice(this.#clock.now()), head)) {
      this.#resume(replica)
      return
    }
    this.#replicas.rest(replica)
    this.flushSoon()
  }

  #observe({ requests, rows }: ChosenRun, result: RunResult | undefined): void {
    if (typeof result !== 'object' || result === null) return
    if ('fault' in result && result.fault !== undefined) this.#sideWork.turnOff(result.fault)
    const [first] = requests as [RunRequest]
    if ('trial' in result) this.#batching.learnShape(first.bucket, rows, result.trial)
    if (!('ms' in result) || result.ms === undefined) return
    first.bucket?.costs.observe(rows, result.ms)
    if (requests.length === 1) this.#costs.observe(rows, result.ms)
    if ('answer' in result) this.#packs.learn(result.answer, first.outputs, rows)
  }

  /** The pack gave no reply: it could not be sent, or its replica is lost. */
  #miss(replica: Replica, runs: readonly ChosenRun[], error: unknown): void {
    if (error instanceof UnsendableTask) {
      this.#requeue.separate(runs, error.cause)
      if (replica.state === 'busy') this.#resume(replica)
      return
    }
    this.#replicas.taskLost(replica, error)
    this.#flush()
  }

  #unsent(error: unknown): Error {
    const { model, version } = this.#settings
    return asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be copied', error, { model, version })
  }
}
