import { AsyncResource } from 'node:async_hooks'
import { errors } from '../errors.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Timer } from '../platform/clock.js'
import type { Signature } from '../tensors/tensor.js'
import { Batching, type BatchingMemory } from './batching.js'
import { Dispatcher } from './dispatcher.js'
import type { PoolListener, PoolSettings, PoolSource, PoolStats } from './pool-settings.js'
import type { StuckReplica } from './replica.js'
import { FAILED_START_MS, ReplicaSet } from './replica-set.js'
import { RequestQueue } from './request-queue.js'
import type { LeaseHolder, RunRequest } from './run-request.js'
import { undisturbed } from './undisturbed.js'
import { within } from './within.js'

/** `created → open → draining → stopped`, or `failed` when replicas keep dying. A pool lives once. */
type PoolState = 'created' | 'open' | 'draining' | 'failed' | 'stopped'

const MIN_RETRY_MS = 10
/** The other replicas wait no longer for the first answer. */
const FIRST_ANSWER_MS = 500
/** Time that the requests of a predecessor always have. */
const FOLLOW_SLACK_MS = 100

/** What serves one version: admits requests, gives them to replicas, and settles every one. */
export class VersionPool implements LeaseHolder {
  readonly settings: PoolSettings
  readonly #listener: PoolListener
  readonly #source: PoolSource
  readonly #replicas: ReplicaSet
  readonly #queue = new RequestQueue()
  readonly #batching: Batching
  readonly #dispatcher: Dispatcher
  /** Runs are sent in here, not in the context of the request that made the replica free. */
  readonly #scope = new AsyncResource('tbcoin-engine.pool')
  #state: PoolState = 'created'
  #leases = 0
  #rejected = 0
  /** Set while the other replicas wait for the first answer. */
  #fillTimer: Timer | undefined
  #disposing: Promise<void> | undefined
  #whenEmpty: (() => void)[] = []
  /** Called when a request has settled and none waits. */
  #whenSent: (() => void) | undefined

  /** `memory` is what earlier pools of the version have found out about batching. */
  constructor(
    settings: PoolSettings,
    source: PoolSource,
    createHost: () => ReplicaHost,
    announced: PoolListener,
    memory: BatchingMemory = { proof: undefined },
  ) {
    const listener = undisturbed(announced)
    this.settings = settings
    this.#listener = listener
    this.#source = source
    settings.ballast.join()
    this.#batching = new Batching(settings.batching, memory)
    this.#replicas = new ReplicaSet(settings, source, createHost, {
      available: (replica) => {
        this.#replicas.rest(replica)
        this.#dispatcher.flush()
      },
      lost: (cause, restartInMs) => listener.replicaLost(cause, restartInMs),
      orphaned: (runs, error) => this.#dispatcher.takeBack(runs, error),
      stuck: (stuck) => listener.replicaStuck(stuck),
      failed: (cause) => this.#fail(cause),
    })
    const [queue, replicas] = [this.#queue, this.#replicas]
    this.#dispatcher = new Dispatcher(settings, queue, replicas, this.#batching, listener, this.#scope)
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** True if its replicas kept dying. */
  get hasFailed(): boolean {
    return this.#state === 'failed'
  }

  /** Requests admitted and not settled: queued and in flight. */
  get leaseCount(): number {
    return this.#leases
  }

  /** How many admitted requests were rejected by `rejectAll` so far. */
  get rejected(): number {
    return this.#rejected
  }

  get hosts(): ReplicaHost[] {
    return [...this.#replicas.all()].map(({ host }) => host)
  }

  stats(): PoolStats {
    const queued = this.#queue.size
    return {
      ...this.#replicas.stats(),
      queued,
      inFlight: this.#leases - queued,
      batching: this.#batching.stats(),
    }
  }

  /**
   * Starts the first replica, tells the signature and opens the pool; the other replicas follow. If the
   * first one fails the pool is stopped and the reason thrown.
   */
  async start(onSignature: (signature: Signature) => void = () => undefined): Promise<Signature> {
    try {
      const signature = await this.#replicas.start()
      this.#dispatcher.open(signature)
      if (this.#source.warmUp !== undefined && this.#state === 'created') {
        await this.#dispatcher.proveWith(this.#source.warmUp.inputs(signature))
      }
      if (this.#state !== 'created') throw this.#unavailable()
      onSignature(signature)
      this.#state = 'open'
      this.settings.clock.setImmediate(() => this.#fillSoon())
      return signature
    } catch (error) {
      await this.stop(FAILED_START_MS)
      throw error
    }
  }

  /** Admits a request, or rejects it. Its lease ends when it settles. */
  submit(request: RunRequest): void {
    if (request.isSettled) return
    if (this.#state !== 'open') {
      request.reject(this.#unavailable())
      return
    }
    // Every idle replica takes one at least when all callers that are under way have asked.
    if (this.#queue.size >= this.settings.maxQueue + this.#replicas.idleCount) {
      request.reject(this.#overloaded())
      return
    }
    this.#leases += 1
    request.lease = this
    request.bucket = this.#batching.bucketOf(request)
    this.#queue.push(request)
    if (this.#replicas.idleCount > 0) this.#dispatcher.flushSoon()
  }

  /** How many replicas there are to be. */
  get wanted(): number {
    return this.#replicas.wanted
  }

  /** How many replicas serve. */
  get servingCount(): number {
    return this.#replicas.servingCount
  }

  /** See `Growth.whenServing`. */
  whenServing(count: number): Promise<void> {
    return this.#replicas.whenServing(count)
  }

  /** See `ReplicaSet.resize`; rejects unless the pool is open. */
  async resize(replicas: number): Promise<void> {
    if (this.#state !== 'open') throw this.#unavailable()
    return this.#replicas.resize(replicas)
  }

  /**
   * Sends nothing while requests wait that `predecessor` has admitted before: they keep their place, instead
   * of sharing the cores with requests that have come later. It waits for twice the time that they are
   * expected to take at most, since a run that does not return must not hold up others.
   */
  follow(predecessor: VersionPool): void {
    if (predecessor.#queue.size === 0) return
    this.#dispatcher.isHeld = true
    const limitMs = FOLLOW_SLACK_MS + 2 * predecessor.#dispatcher.backlogMs()
    const sent = new Promise<void>((resolve) => {
      predecessor.#whenSent = resolve
    })
    void within(this.settings.clock, sent, limitMs).then(() => {
      this.#dispatcher.isHeld = false
      this.#dispatcher.flush()
    })
  }

  /** Resolves when no admitted request is left, for a moment at least. */
  empty(): Promise<void> {
    if (this.#leases === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve)
    })
  }

  /** Admits nothing more; resolves when every admitted request has settled. */
  drain(): Promise<void> {
    if (this.#state === 'open' || this.#state === 'created') this.#state = 'draining'
    return this.empty()
  }

  /** Rejects every admitted request; a replica that runs one goes on to its end. */
  rejectAll(error: unknown): number {
    const leases = this.#leases
    this.#rejectQueued(error)
    for (const request of this.#dispatcher.inFlight()) request.reject(error)
    this.#rejected += leases - this.#leases
    return leases - this.#leases
  }

  /**
   * Releases every session and ends every thread, each as soon as it is outside native
   * code. What is not over after `timeoutMs` is left to itself, no longer keeps the
   * process alive, and is returned. May be called again, with another limit.
   */
  stop(timeoutMs: number): Promise<StuckReplica[]> {
    return this.#scope.runInAsyncScope(() => {
      if (this.#state !== 'stopped') this.settings.ballast.leave()
      this.#state = 'stopped'
      const error = this.#unavailable()
      this.rejectAll(error)
      this.#dispatcher.close(error)
      return this.#replicas.stop(timeoutMs)
    })
  }

  /** Replicas whose task has not returned. */
  stuck(): StuckReplica[] {
    return this.#replicas.stuck()
  }

  /** Resolves when the threads that `stop` left to themselves have ended too, and what they had loaded is given back. */
  async gone(): Promise<void> {
    await this.#replicas.quarantineOver()
    this.#disposing ??= this.#source.dispose?.() ?? Promise.resolve()
    await this.#disposing
  }

  /** @internal A request has its answer, or none. */
  settled(request: RunRequest): void {
    if (request.stage === 'queued') this.#queue.remove(request)
    this.#leases -= 1
    if (this.#queue.size === 0) this.#whenSent?.()
    if (this.#fillTimer !== undefined) this.#fill()
    if (this.#leases > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  /** Requests that waited for the pool are answered first: what is loaded beside them would slow them down. */
  #fillSoon(): void {
    if (this.#leases === 0) this.#fill()
    else this.#fillTimer = this.settings.clock.setTimeout(() => this.#fill(), FIRST_ANSWER_MS).unref()
  }

  #fill(): void {
    this.settings.clock.clear(this.#fillTimer)
    this.#fillTimer = undefined
    if (this.#state === 'open') this.#replicas.fill()
  }

  #rejectQueued(error: unknown): void {
    for (let request = this.#queue.shift(); request !== undefined; request = this.#queue.shift()) {
      request.reject(error)
    }
  }

  #fail(cause: Error): void {
    if (this.#state === 'stopped') return
    this.#state = 'failed'
    const { model, version, crashBudget, crashWindowMs } = this.settings
    const error = new errors.ERR_CIRCUIT_OPEN(
      `replicas of ${model}@${version} keep dying (${crashBudget} replacements within ${crashWindowMs} ms are allowed); the last: ${cause.message}`,
      { model, version, cause },
    )
    this.#rejectQueued(error)
    this.#dispatcher.refuseOrphans(error)
    this.#listener.poolFailed(error)
  }

  #unavailable(): Error {
    const { model, version } = this.settings
    return new errors.ERR_MODEL_UNAVAILABLE(
      `the pool of ${model}@${version} admits no requests (${this.#state})`,
      { model, version },
    )
  }

  #overloaded(): Error {
    const { model, version, maxQueue } = this.settings
    return new errors.ERR_OVERLOADED(
      `${maxQueue} requests wait for ${model}@${version} already; slow down, add replicas or raise maxQueue`,
      { model, version, retryAfterMs: Math.max(MIN_RETRY_MS, Math.round(this.#dispatcher.backlogMs())) },
    )
  }
}
