import type { AsyncResource } from 'node:async_hooks'
import type { Outbox } from '../../async/outbox.js'
import { UnsendableTask } from '../../hosts/replica-host.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { asRuntimeError } from '../../protocol/error-codec.js'
import type { Signature, Tensor } from '../../tensors/tensor.js'
import type { Batching } from '../batching/batching.js'
import { readReply } from '../packs/read-reply.js'
import { CostModel } from '../queue/cost-model.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { RequestQueue } from '../queue/request-queue.js'
import type { RunRequest } from '../queue/run-request.js'
import type { Replica } from '../replicas/replica.js'
import type { ReplicaSet } from '../replicas/replica-set.js'
import type { PoolLife } from '../settings/pool-life.js'
import type { PoolListener, PoolSettings } from '../settings/pool-settings.js'
import { BackgroundProof } from './background-proof.js'
import { type Pack, PackAssembler } from './pack-assembler.js'
import { PackReplies } from './pack-replies.js'
import { couldGrow, planRuns, type SchedulingInput, waitingMs } from './plan-runs.js'
import { proveAtStart } from './prove-at-start.js'
import { openRuns, Requeue } from './requeue.js'

/** A timer may come so much too late. */
const TIMER_SLACK_MS = 20

/** Gives what is queued to the replicas that are idle, and what they answer to the callers. */
export class Dispatcher {
  readonly #settings: PoolSettings
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #life: PoolLife
  readonly #queue: RequestQueue
  readonly #replicas: ReplicaSet
  readonly #batching: Batching
  readonly #listener: PoolListener
  /** Packs are sent in here, not in the context of the request that comes or leaves. */
  readonly #scope: AsyncResource
  readonly #costs = new CostModel()
  readonly #requeue: Requeue
  readonly #backgroundProof: BackgroundProof
  readonly #packs: PackAssembler
  readonly #replies: PackReplies
  #delay: Timer | undefined
  #isPaused = false
  #willFlush = false

  constructor(
    settings: PoolSettings,
    life: PoolLife,
    queue: RequestQueue,
    replicas: ReplicaSet,
    batching: Batching,
    listener: PoolListener,
    scope: AsyncResource,
  ) {
    this.#settings = settings
    this.#clock = settings.clock
    this.#outbox = settings.outbox
    this.#life = life
    this.#queue = queue
    this.#replicas = replicas
    this.#batching = batching
    this.#listener = listener
    this.#scope = scope
    this.#requeue = new Requeue(life)
    this.#backgroundProof = new BackgroundProof(settings.clock, life, batching, replicas, listener)
    this.#packs = new PackAssembler(batching, this.#backgroundProof, settings.ballast)
    this.#replies = new PackReplies(batching, this.#backgroundProof, this.#packs, this.#costs)
    this.#backgroundProof.attach({
      batchingChanged: () => queue.sort((request) => batching.bucketOf(request)),
      taskOver: (replica) => this.#taskOver(replica),
    })
  }

  /** To be called when the model is loaded, before anything else. */
  open(signature: Signature): void {
    this.#packs.open(signature)
    this.#batching.open(signature)
  }

  /** Looks for the proof of batching, unless it is known, with an input known to be valid. */
  async proveWith(inputs: readonly Tensor[]): Promise<void> {
    if (!this.#batching.isOpen) return
    await proveAtStart(this.#clock, this.#replicas, this.#packs, this.#backgroundProof, inputs)
  }

  /** Every request that a replica is running, or is to run again. */
  *inFlight(): Generator<RunRequest> {
    for (const { runs } of this.#replicas.all()) for (const { requests } of runs) yield* requests
    yield* this.#requeue.requests()
  }

  /** Gives what a replica was sent and has not begun to another one, before all that is queued. */
  takeBack(runs: readonly PlannedRun[], error: unknown): void {
    this.#requeue.takeBack(runs, error)
    this.flush()
  }

  /** Rejects what no replica has begun: none will come for it. */
  refuse(error: Error): void {
    this.#requeue.refuse(error)
  }

  /** Time until what is queued is done, in milliseconds, as far as is known. */
  backlogMs(): number {
    return waitingMs(this.#choice(this.#clock.now())) / this.#replicas.wanted
  }

  /** Sends nothing until `resume`. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.flush()
  }

  /** The pool is stopped: nothing is sent any more, and nothing kept. */
  close(error: Error): void {
    this.refuse(error)
    this.#clock.clear(this.#delay)
    this.#packs.clear()
  }

  /** Sends what is queued, for as long as replicas are idle. */
  flush(): void {
    this.#scope.runInAsyncScope(this.#flush, this)
  }

  /** Does the same once all callers that are under way have asked. */
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
    this.#outbox.hold()
    try {
      while (!this.#life.isStopped && this.#sendNext()) {}
      if (!this.#life.isStopped && this.#queue.size === 0) this.#backgroundProof.startAll(this.#clock.now())
    } catch (error) {
      this.#listener.unexpected(error)
      const next = this.#queue.shift()
      if (next === undefined) return
      next.reject(this.#unsent(error))
      this.flushSoon()
    } finally {
      this.#outbox.release()
    }
  }

  /** Gives an idle replica what it runs next; false if there is neither. */
  #sendNext(): boolean {
    const replica = this.#isPaused ? undefined : this.#replicas.idle.first()
    if (replica === undefined) return false
    const nowMs = this.#clock.now()
    if (this.#requeue.size > 0) {
      this.#send(replica, this.#requeue.next(), nowMs)
      return true
    }
    if (this.#queue.size === 0 || this.#waitsForMore(nowMs)) return false
    if (!this.#backgroundProof.start(replica, nowMs))
      this.#send(replica, planRuns(this.#choice(nowMs)), nowMs)
    return true
  }

  /** One literal: copying the fields of another object costs a request 2 us. */
  #choice(nowMs: number): SchedulingInput {
    return {
      queue: this.#queue,
      batching: this.#batching,
      costs: this.#costs,
      maxPackBytes: this.#settings.maxPackBytes,
      answerBytes: this.#packs.answerBytes,
      replicas: this.#replicas.wanted,
      idle: this.#replicas.idle.size,
      nowMs,
      maxPackMs: this.#settings.maxPackMs,
    }
  }

  /** Returns true if the next request may wait for others to share its run, although a replica is idle. */
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

  /** Sends the runs to an idle replica, which is idle again if nothing is left of them. */
  #send(replica: Replica, chosen: readonly PlannedRun[], nowMs: number): void {
    this.#replicas.idle.assign(replica, chosen)
    let isSent = false
    try {
      this.#start(chosen, nowMs)
      // The one place between two steps of an operation: the runs are the replica's, and none is sent yet, so
      // that a request which its listener aborts is never copied.
      this.#outbox.deliver()
      const runs = openRuns(chosen)
      if (replica.state !== 'busy') this.#requeue.putBack(runs)
      else if (runs.length > 0) isSent = this.#sendPack(replica, runs, nowMs)
    } finally {
      if (!isSent) this.#replicas.taskOver(replica)
    }
  }

  /** Begins the requests that can be sent; one whose input cannot be copied is rejected. */
  #start(chosen: readonly PlannedRun[], nowMs: number): void {
    for (const { requests } of chosen) {
      for (const request of requests) {
        if (request.isSettled) continue
        try {
          this.#packs.checkIntact(request.inputs as readonly Tensor[])
          if (request.stage !== 'in-flight') request.start(nowMs)
        } catch (error) {
          request.reject(this.#unsent(error))
        }
      }
    }
  }

  /** Returns whether the pack is on its way; else each of its requests gets one of its own. */
  #sendPack(replica: Replica, runs: readonly PlannedRun[], nowMs: number): boolean {
    try {
      const pack = this.#packs.assemble(replica, runs)
      replica.run(nowMs, pack.task).then(
        (reply) => this.#onReply(replica, pack, reply),
        (error: unknown) => this.#onFailure(replica, runs, error),
      )
      return true
    } catch (error) {
      this.#requeue.separate(runs, error)
      return false
    }
  }

  /**
   * The boundary of a reply: the replica goes on, and no request of the pack stays open. The next pack is on
   * its way before the answers are read, unless what the callers ask next could join its batch.
   */
  #onReply(replica: Replica, pack: Pack, done: unknown): void {
    this.#outbox.hold()
    try {
      const reply = readReply(done, pack.runs.length)
      let isOver = false
      try {
        this.#replies.learn(replica, pack, reply)
        isOver = true
        if (this.#replicas.taskOver(replica)) this.#goOn()
      } catch (error) {
        this.#listener.unexpected(error)
        if (!isOver) this.#taskOver(replica)
      }
      this.#replies.settle(pack, reply, this.#clock.now())
    } finally {
      this.#outbox.release()
    }
  }

  #goOn(): void {
    const head = this.#queue.first()
    if (head !== undefined && !couldGrow(this.#choice(this.#clock.now()), head)) this.#flush()
    else this.flushSoon()
  }

  /** The pack has no reply: it could not be sent, or its replica is lost. */
  #onFailure(replica: Replica, runs: readonly PlannedRun[], error: unknown): void {
    this.#outbox.hold()
    try {
      if (error instanceof UnsendableTask) {
        this.#requeue.separate(runs, error.cause)
        this.#taskOver(replica)
      } else {
        this.#replicas.taskLost(replica, error)
      }
    } finally {
      this.#outbox.release()
    }
  }

  #taskOver(replica: Replica): void {
    if (this.#replicas.taskOver(replica)) this.#flush()
  }

  #unsent(error: unknown): Error {
    const { model, version } = this.#settings
    return asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be copied', error, { model, version })
  }
}
