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

/** Time by which a timer may be late. */
const TIMER_SLACK_MS = 20

/** Sends queued requests to idle replicas, and delivers the outputs to the callers. */
export class Dispatcher {
  readonly #settings: PoolSettings
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #life: PoolLife
  readonly #queue: RequestQueue
  readonly #replicas: ReplicaSet
  readonly #batching: Batching
  readonly #listener: PoolListener
  /** The async context in which packs are sent, instead of that of the request that comes or leaves. */
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
      taskEnded: (replica) => this.#onTaskEnd(replica),
    })
  }

  /** Begins with the model's signature. To be called when the model is loaded, before anything else. */
  open(signature: Signature): void {
    this.#packs.open(signature)
    this.#batching.open(signature)
  }

  /** Looks for the proof of batching with an input known to be valid, unless batching is decided. */
  async proveWith(inputs: readonly Tensor[]): Promise<void> {
    if (!this.#batching.isUndecided) return
    await proveAtStart(this.#clock, this.#replicas, this.#packs, this.#backgroundProof, inputs)
  }

  /** Yields every request that a replica is running, or that has to be run again. */
  *inFlight(): Generator<RunRequest> {
    for (const { runs } of this.#replicas.all()) for (const { requests } of runs) yield* requests
    yield* this.#requeue.requests()
  }

  /** Requeues runs that a replica had not begun, before all queued requests, and sends what can be sent. */
  takeBack(runs: readonly PlannedRun[], error: unknown): void {
    this.#requeue.takeBack(runs, error)
    this.flush()
  }

  /** Rejects the requeued requests, because no replica will run them. */
  refuse(error: Error): void {
    this.#requeue.refuse(error)
  }

  /** Returns the expected time in milliseconds until all queued requests are done, as far as it is known. */
  backlogMs(): number {
    return waitingMs(this.#schedulingInput(this.#clock.now())) / this.#replicas.wanted
  }

  /** Stops sending until `resume`. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.flush()
  }

  /** Rejects the requeued requests and frees the buffers, because the pool is stopped. */
  close(error: Error): void {
    this.refuse(error)
    this.#clock.clear(this.#delay)
    this.#packs.clear()
  }

  /** Sends queued requests while replicas are idle. */
  flush(): void {
    this.#scope.runInAsyncScope(this.#flush, this)
  }

  /** Calls `flush` at the end of this tick, so that requests made in the same tick can share a pack. */
  flushSoon(): void {
    if (this.#willFlush) return
    this.#willFlush = true
    this.#clock.nextTick(() => {
      this.#willFlush = false
      this.flush()
    })
  }

  /** The boundary of every tick, timer and reply that sends: an exception in here costs at most one request. */
  #flush(): void {
    this.#outbox.hold()
    try {
      while (!this.#life.isStopped && this.#sendNext()) {}
      if (!this.#life.isStopped && this.#queue.size === 0) this.#backgroundProof.startAll(this.#clock.now())
    } catch (error) {
      this.#listener.unexpected(error)
      const next = this.#queue.shift()
      if (next === undefined) return
      next.reject(this.#copyError(error))
      this.flushSoon()
    } finally {
      this.#outbox.release()
    }
  }

  /** Sends its next work to an idle replica; returns false if there is no idle replica or no work. */
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
      this.#send(replica, planRuns(this.#schedulingInput(nowMs)), nowMs)
    return true
  }

  /**
   * Returns the input of the plan as one literal, because copying the fields of another object costs a request 2 us.
   */
  #schedulingInput(nowMs: number): SchedulingInput {
    return {
      queue: this.#queue,
      batching: this.#batching,
      costs: this.#costs,
      maxPackBytes: this.#settings.maxPackBytes,
      outputBytes: this.#packs.outputBytes,
      replicas: this.#replicas.wanted,
      idle: this.#replicas.idle.size,
      nowMs,
      maxPackMs: this.#settings.maxPackMs,
    }
  }

  /** Returns true if the next request should wait for others to share its run, although a replica is idle. */
  #waitsForMore(nowMs: number): boolean {
    const maxDelayMs = this.#settings.batching?.maxDelayMs ?? 0
    const head = maxDelayMs === 0 ? undefined : this.#queue.first()
    if (head === undefined) return false
    const runMs = head.bucket?.costs.batchMs(this.#batching.maxRows) ?? 0
    const latestAtMs = head.deadlineAtMs - runMs - TIMER_SLACK_MS
    const waitMs = Math.min(head.startedAtMs + maxDelayMs, latestAtMs) - nowMs
    if (waitMs <= 0 || !couldGrow(this.#schedulingInput(nowMs), head)) return false
    this.#clock.clear(this.#delay)
    this.#delay = this.#clock.setTimeout(() => this.#flush(), waitMs)
    return true
  }

  /** Sends runs to an idle replica, which becomes idle again if none of their requests is left. */
  #send(replica: Replica, planned: readonly PlannedRun[], nowMs: number): void {
    this.#replicas.idle.assign(replica, planned)
    let isSent = false
    try {
      this.#start(planned, nowMs)
      // Listeners are called in the middle of the operation only here: the runs belong to the replica, and none is
      // sent yet, so that a request that its listener aborts is never copied.
      this.#outbox.deliver()
      const runs = openRuns(planned)
      if (replica.state !== 'busy') this.#requeue.putBack(runs)
      else if (runs.length > 0) isSent = this.#sendPack(replica, runs, nowMs)
    } finally {
      if (!isSent) this.#replicas.onTaskEnd(replica)
    }
  }

  /** Starts the requests; one whose input cannot be copied is rejected. */
  #start(planned: readonly PlannedRun[], nowMs: number): void {
    for (const { requests } of planned) {
      for (const request of requests) {
        if (request.isSettled) continue
        try {
          this.#packs.checkIntact(request.inputs as readonly Tensor[])
          if (request.stage !== 'in-flight') request.start(nowMs)
        } catch (error) {
          request.reject(this.#copyError(error))
        }
      }
    }
  }

  /** Sends a pack; returns false if that failed, in which case each of its requests gets a pack of its own. */
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
   * The boundary of a reply: the replica continues, and no request of the pack stays open. The next pack is sent
   * before the outputs are decoded, unless requests that the callers make next could join its batch.
   */
  #onReply(replica: Replica, pack: Pack, done: unknown): void {
    this.#outbox.hold()
    try {
      const reply = readReply(done, pack.runs.length)
      let isOver = false
      try {
        this.#replies.learn(replica, pack, reply)
        isOver = true
        if (this.#replicas.onTaskEnd(replica)) this.#sendNextPack()
      } catch (error) {
        this.#listener.unexpected(error)
        if (!isOver) this.#onTaskEnd(replica)
      }
      this.#replies.settle(pack, reply, this.#clock.now())
    } finally {
      this.#outbox.release()
    }
  }

  #sendNextPack(): void {
    const head = this.#queue.first()
    if (head !== undefined && !couldGrow(this.#schedulingInput(this.#clock.now()), head)) this.#flush()
    else this.flushSoon()
  }

  /** Handles a pack without a reply: it could not be sent, or its replica is lost. */
  #onFailure(replica: Replica, runs: readonly PlannedRun[], error: unknown): void {
    this.#outbox.hold()
    try {
      if (error instanceof UnsendableTask) {
        this.#requeue.separate(runs, error.cause)
        this.#onTaskEnd(replica)
      } else {
        this.#replicas.onTaskLost(replica, error)
      }
    } finally {
      this.#outbox.release()
    }
  }

  #onTaskEnd(replica: Replica): void {
    if (this.#replicas.onTaskEnd(replica)) this.#flush()
  }

  #copyError(error: unknown): Error {
    const { model, version } = this.#settings
    return asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be copied', error, { model, version })
  }
}
