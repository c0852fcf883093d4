import { AsyncResource } from 'node:async_hooks'
import { withTimeout } from '../async/with-timeout.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Timer } from '../platform/clock.js'
import type { Signature } from '../tensors/tensor.js'
import { Batching, type BatchingMemory } from './batching/batching.js'
import { guardListener } from './guard-listener.js'
import { RequestQueue } from './queue/request-queue.js'
import type { LeaseHolder, RunRequest } from './queue/run-request.js'
import { FAILED_START_MS } from './replicas/quarantine.js'
import { ReplicaSet } from './replicas/replica-set.js'
import { Dispatcher } from './scheduling/dispatcher.js'
import { circuitOpen, overloaded, unavailable } from './settings/pool-errors.js'
import { PoolLife } from './settings/pool-life.js'
import type { PoolListener, PoolSettings, PoolSource, PoolStats } from './settings/pool-settings.js'
import type { StuckReplica } from './settings/stuck-replica.js'

/** Maximum time for which the start of the other replicas waits for the first outputs. */
const FIRST_OUTPUTS_MS = 500
/** Minimum time that the queued requests of a predecessor have. */
const FOLLOW_SLACK_MS = 100

/**
 * The replicas that serve one version. The pool admits requests, sends them to replicas, and settles each of them.
 */
export class VersionPool implements LeaseHolder {
  readonly settings: PoolSettings
  readonly #life: PoolLife
  readonly #listener: PoolListener
  readonly #source: PoolSource
  readonly #queue = new RequestQueue()
  readonly #batching: Batching
  readonly #replicas: ReplicaSet
  readonly #dispatcher: Dispatcher
  /** The async context in which runs are sent, instead of that of the request that freed the replica. */
  readonly #scope = new AsyncResource('tbcoin-engine.pool')
  #leases = 0
  #rejected = 0
  /** Set while the start of the other replicas waits for the first outputs. */
  #fillTimer: Timer | undefined
  #disposed: Promise<void> | undefined
  #emptyWaiters: (() => void)[] = []
  /** Called when a request has settled and none is queued. */
  #onQueueEmpty: (() => void) | undefined

  /** @param memory the findings of earlier pools of the version about batching */
  constructor(
    settings: PoolSettings,
    source: PoolSource,
    createHost: () => ReplicaHost,
    listener: PoolListener,
    memory: BatchingMemory = { proof: undefined },
  ) {
    this.settings = settings
    this.#source = source
    this.#listener = guardListener(listener, settings.outbox)
    this.#life = new PoolLife(`${settings.model}@${settings.version}`)
    this.#batching = new Batching(settings.batching, memory)
    this.#replicas = new ReplicaSet(settings, source, createHost, this.#life)
    this.#dispatcher = new Dispatcher(
      settings,
      this.#life,
      this.#queue,
      this.#replicas,
      this.#batching,
      this.#listener,
      this.#scope,
    )
    this.#replicas.attach({
      available: () => this.#dispatcher.flush(),
      lost: (cause, restartInMs) => this.#listener.replicaLost(cause, restartInMs),
      requeue: (runs, error) => this.#dispatcher.takeBack(runs, error),
      stuck: (stuck) => this.#listener.replicaStuck(stuck),
      failed: (cause) => this.#fail(cause),
      unexpected: (error) => this.#listener.unexpected(error),
    })
    settings.ballast.join()
  }

  get isOpen(): boolean {
    return this.#life.isOpen
  }

  /** True if the crash budget is spent. */
  get hasFailed(): boolean {
    return this.#life.state === 'failed'
  }

  /** Number of requests that are admitted and not settled: queued and in flight. */
  get leaseCount(): number {
    return this.#leases
  }

  /** Number of admitted requests that `rejectAll` has rejected so far. */
  get rejected(): number {
    return this.#rejected
  }

  get hosts(): ReplicaHost[] {
    return this.#replicas.hosts
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
   * Starts the first replica, reports the signature and opens the pool; the other replicas follow. If the first one
   * cannot be started, stops the pool and rejects with the reason.
   */
  async start(onSignature: (signature: Signature) => void = () => undefined): Promise<Signature> {
    try {
      const signature = await this.#replicas.start()
      this.#dispatcher.open(signature)
      if (this.#source.warmUp !== undefined && this.#life.state === 'created') {
        await this.#dispatcher.proveWith(this.#source.warmUp.inputs(signature))
      }
      if (this.#life.state !== 'created') throw unavailable(this.settings, this.#life.state)
      onSignature(signature)
      this.#life.open()
      this.settings.clock.setImmediate(() => this.#fillSoon())
      return signature
    } catch (error) {
      await this.stop(FAILED_START_MS)
      throw error
    }
  }

  /** Admits a request, or rejects it. An admitted request holds a lease until it settles. */
  submit(request: RunRequest): void {
    if (request.isSettled) return
    if (!this.#life.isOpen) {
      request.reject(unavailable(this.settings, this.#life.state))
      return
    }
    // Each idle replica will take at least one of the queued requests at the end of this tick.
    if (this.#queue.size >= this.settings.maxQueue + this.#replicas.idle.size) {
      request.reject(overloaded(this.settings, this.#dispatcher.backlogMs()))
      return
    }
    const { outbox } = this.settings
    outbox.hold()
    try {
      this.#leases += 1
      request.lease = this
      request.bucket = this.#batching.bucketOf(request)
      this.#queue.push(request)
      if (this.#replicas.idle.size > 0) this.#dispatcher.flushSoon()
    } finally {
      outbox.release()
    }
  }

  /** Target number of replicas. */
  get wanted(): number {
    return this.#replicas.wanted
  }

  /** Number of replicas that serve requests. */
  get servingCount(): number {
    return this.#replicas.servingCount
  }

  /** Resolves when `count` replicas serve, see `Growth.whenServing`. */
  whenServing(count: number): Promise<void> {
    return this.#replicas.whenServing(count)
  }

  /** Changes the number of replicas, see `ReplicaSet.resize`; rejects unless the pool is open. */
  async resize(replicas: number): Promise<void> {
    if (!this.#life.isOpen) throw unavailable(this.settings, this.#life.state)
    return this.#replicas.resize(replicas)
  }

  /**
   * Holds back this pool's requests while older ones are queued in `predecessor`, so that these need not share the
   * cores with requests that came later. Waits at most twice the time that they are expected to take, because a run
   * that does not return must not hold up this pool.
   */
  follow(predecessor: VersionPool): void {
    if (predecessor.#queue.size === 0) return
    this.#dispatcher.pause()
    const limitMs = FOLLOW_SLACK_MS + 2 * predecessor.#dispatcher.backlogMs()
    void withTimeout(this.settings.clock, predecessor.#whenQueueEmpty(), limitMs).then(() =>
      this.#dispatcher.resume(),
    )
  }

  /** Resolves at a moment when no admitted request is left. */
  whenEmpty(): Promise<void> {
    if (this.#leases === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#emptyWaiters.push(resolve)
    })
  }

  /** Stops admitting requests; resolves when every admitted request has settled. */
  drain(): Promise<void> {
    if (this.#life.isOpen || this.#life.state === 'created') this.#life.drain()
    return this.whenEmpty()
  }

  /**
   * Rejects every admitted request and returns their number; a replica that runs one goes on to the end of the run.
   */
  rejectAll(error: unknown): number {
    return this.settings.outbox.during(() => {
      const leases = this.#leases
      this.#rejectQueued(error)
      for (const request of this.#dispatcher.inFlight()) request.reject(error)
      const rejected = leases - this.#leases
      this.#rejected += rejected
      return rejected
    })
  }

  /**
   * Releases every session and ends every thread as soon as it is outside native code. A replica that has not ended
   * after `timeoutMs` is abandoned: it no longer keeps the process alive, and is returned. May be called again with
   * another limit. When the last thread has ended, the resources that the replicas loaded from are disposed.
   */
  async stop(timeoutMs: number): Promise<StuckReplica[]> {
    const { outbox } = this.settings
    const stuck = await this.#scope.runInAsyncScope(() => outbox.during(() => this.#stop(timeoutMs)))
    void this.whenGone()
    return stuck
  }

  /** Returns the replicas in quarantine. */
  stuck(): StuckReplica[] {
    return this.#replicas.stuck()
  }

  /**
   * Resolves when the threads that `stop` abandoned have ended too, and the pool's source is disposed. To be called
   * after `stop`; never rejects.
   */
  whenGone(): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  /**
   * Releases the lease of a request that has settled.
   * @internal
   */
  settled(request: RunRequest): void {
    if (request.stage === 'queued') this.#queue.remove(request)
    this.#leases -= 1
    if (this.#queue.size === 0) this.#onQueueEmpty?.()
    if (this.#fillTimer !== undefined) this.#fill()
    if (this.#leases > 0) return
    for (const resolve of this.#emptyWaiters.splice(0)) resolve()
  }

  /**
   * Starts the other replicas after the first outputs, because their loads would slow down the requests that waited
   * for the pool.
   */
  #fillSoon(): void {
    if (this.#leases === 0) this.#fill()
    else this.#fillTimer = this.settings.clock.setTimeout(() => this.#fill(), FIRST_OUTPUTS_MS).unref()
  }

  #fill(): void {
    this.settings.clock.clear(this.#fillTimer)
    this.#fillTimer = undefined
    if (this.#life.isOpen) this.#replicas.fill()
  }

  /** Resolves the next time that a request has settled and none is queued. */
  #whenQueueEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onQueueEmpty = resolve
    })
  }

  #stop(timeoutMs: number): Promise<StuckReplica[]> {
    const error = unavailable(this.settings, 'stopped')
    if (!this.#life.isStopped) {
      this.#life.stop(error)
      this.settings.ballast.leave()
    }
    this.rejectAll(error)
    this.#dispatcher.close(error)
    return this.#replicas.stop(timeoutMs)
  }

  async #dispose(): Promise<void> {
    await this.#replicas.whenQuarantineEmpty()
    try {
      await this.#source.dispose?.()
    } catch (error) {
      this.#listener.unexpected(error)
    }
  }

  #rejectQueued(error: unknown): void {
    for (let request = this.#queue.shift(); request !== undefined; request = this.#queue.shift()) {
      request.reject(error)
    }
  }

  #fail(cause: Error): void {
    const error = circuitOpen(this.settings, cause)
    this.#life.fail(error)
    this.#rejectQueued(error)
    this.#dispatcher.refuse(error)
    this.#listener.poolFailed(error)
  }
}
