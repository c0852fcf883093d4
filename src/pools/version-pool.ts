import { AsyncResource } from 'node:async_hooks'
import { withTimeout } from '../async/with-timeout.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Timer } from '../platform/clock.js'
import type { Signature } from '../tensors/tensor.js'
import { Batching, type BatchingMemory } from './batching/batching.js'
import { RequestQueue } from './queue/request-queue.js'
import type { LeaseHolder, RunRequest } from './queue/run-request.js'
import { FAILED_START_MS } from './replicas/quarantine.js'
import { ReplicaSet } from './replicas/replica-set.js'
import { Dispatcher } from './scheduling/dispatcher.js'
import { circuitOpen, overloaded, unavailable } from './settings/pool-errors.js'
import { PoolLife } from './settings/pool-life.js'
import type { PoolListener, PoolSettings, PoolSource, PoolStats } from './settings/pool-settings.js'
import type { StuckReplica } from './settings/stuck-replica.js'
import { undisturbed } from './undisturbed.js'

/** The other replicas wait no longer for the first answer. */
const FIRST_ANSWER_MS = 500
/** Time that the requests of a predecessor always have. */
const FOLLOW_SLACK_MS = 100

/** The threads that serve one version: admits requests, gives them to replicas, and settles every one. */
export class VersionPool implements LeaseHolder {
  readonly settings: PoolSettings
  readonly #life: PoolLife
  readonly #listener: PoolListener
  readonly #source: PoolSource
  readonly #queue = new RequestQueue()
  readonly #batching: Batching
  readonly #replicas: ReplicaSet
  readonly #dispatcher: Dispatcher
  /** Runs are sent in here, not in the context of the request that made the replica free. */
  readonly #scope = new AsyncResource('tbcoin-engine.pool')
  #leases = 0
  #rejected = 0
  /** Set while the other replicas wait for the first answer. */
  #fillTimer: Timer | undefined
  #gone: Promise<void> | undefined
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
    this.settings = settings
    this.#source = source
    this.#listener = undisturbed(announced, settings.outbox)
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
      orphaned: (runs, error) => this.#dispatcher.takeBack(runs, error),
      stuck: (stuck) => this.#listener.replicaStuck(stuck),
      failed: (cause) => this.#fail(cause),
      unexpected: (error) => this.#listener.unexpected(error),
    })
    settings.ballast.join()
  }

  get isOpen(): boolean {
    return this.#life.isOpen
  }

  /** True if its replicas kept dying. */
  get hasFailed(): boolean {
    return this.#life.state === 'failed'
  }

  /** Requests admitted and not settled: queued and in flight. */
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
   * Starts the first replica, tells the signature and opens the pool; the other replicas follow. If the
   * first one fails the pool is stopped and the reason thrown.
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

  /** Admits a request, or rejects it. Its lease ends when it settles. */
  submit(request: RunRequest): void {
    if (request.isSettled) return
    if (!this.#life.isOpen) {
      request.reject(unavailable(this.settings, this.#life.state))
      return
    }
    // Every idle replica takes one at least when all callers that are under way have asked.
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

  /** Number of replicas that there are to be. */
  get wanted(): number {
    return this.#replicas.wanted
  }

  /** Number of replicas that serve. */
  get servingCount(): number {
    return this.#replicas.servingCount
  }

  /** See `Growth.whenServing`. */
  whenServing(count: number): Promise<void> {
    return this.#replicas.whenServing(count)
  }

  /** See `ReplicaSet.resize`; rejects unless the pool is open. */
  async resize(replicas: number): Promise<void> {
    if (!this.#life.isOpen) throw unavailable(this.settings, this.#life.state)
    return this.#replicas.resize(replicas)
  }

  /**
   * Sends nothing while requests wait that `predecessor` has admitted before: they keep their place, instead
   * of sharing the cores with requests that have come later. It waits for twice the time that they are
   * expected to take at most, since a run that does not return must not hold up others.
   */
  follow(predecessor: VersionPool): void {
    if (predecessor.#queue.size === 0) return
    this.#dispatcher.pause()
    const limitMs = FOLLOW_SLACK_MS + 2 * predecessor.#dispatcher.backlogMs()
    void withTimeout(this.settings.clock, predecessor.#sent(), limitMs).then(() => this.#dispatcher.resume())
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
    if (this.#life.isOpen || this.#life.state === 'created') this.#life.drain()
    return this.empty()
  }

  /** Rejects every admitted request; a replica that runs one goes on to its end. */
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
   * Releases every session and ends every thread, each as soon as it is outside native
   * code. What is not over after `timeoutMs` is left to itself, no longer keeps the
   * process alive, and is returned. May be called again, with another limit. When the last thread has
   * ended, what the replicas had loaded is given back.
   */
  async stop(timeoutMs: number): Promise<StuckReplica[]> {
    const { outbox } = this.settings
    const stuck = await this.#scope.runInAsyncScope(() => outbox.during(() => this.#stop(timeoutMs)))
    void this.gone()
    return stuck
  }

  /** Replicas whose task has not returned. */
  stuck(): StuckReplica[] {
    return this.#replicas.stuck()
  }

  /**
   * Resolves when the threads that `stop` left to themselves have ended too, and what they had loaded is
   * given back. To be called after `stop`; never rejects.
   */
  gone(): Promise<void> {
    this.#gone ??= this.#dispose()
    return this.#gone
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
    if (this.#life.isOpen) this.#replicas.fill()
  }

  /** Resolves the next time that a request has settled and none waits. */
  #sent(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenSent = resolve
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
    await this.#replicas.quarantineOver()
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
