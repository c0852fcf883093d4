import { AsyncResource } from 'node:async_hooks'
import { errors } from '../errors.js'
import { answerCredit } from '../memory/answer-credit.js'
import { asRuntimeError, decodeError } from '../protocol/error-codec.js'
import type { ReplicaReplies } from '../protocol/messages.js'
import { packFeeds } from '../tensors/pack-feeds.js'
import type { Outputs, Signature } from '../tensors/tensor.js'
import type { PoolListener, PoolSettings, PoolSource, PoolStats } from './pool-settings.js'
import type { Replica, StuckReplica } from './replica.js'
import type { ReplicaHost } from './replica-host.js'
import { FAILED_START_MS, ReplicaSet } from './replica-set.js'
import { RequestQueue } from './request-queue.js'
import type { RunRequest } from './run-request.js'

/** `created → open → draining → stopped`, or `failed` when replicas keep dying. A pool lives once. */
type PoolState = 'created' | 'open' | 'draining' | 'failed' | 'stopped'

const NOTHING: Outputs = Object.freeze({})

/** What serves one version: admits requests, gives them to replicas, and settles every one. */
export class VersionPool {
  readonly settings: PoolSettings
  readonly #listener: PoolListener
  readonly #replicas: ReplicaSet
  readonly #queue = new RequestQueue()
  readonly #leases = new Set<RunRequest>()
  /** Runs are sent in here, not in the context of the request that made the replica free. */
  readonly #scope = new AsyncResource('tbcoin-engine.pool')
  #state: PoolState = 'created'
  #whenEmpty: (() => void)[] = []

  constructor(
    settings: PoolSettings,
    source: PoolSource,
    createHost: () => ReplicaHost,
    listener: PoolListener,
  ) {
    this.settings = settings
    this.#listener = listener
    answerCredit.join()
    this.#replicas = new ReplicaSet(settings, source, createHost, {
      available: (replica) => this.#next(replica),
      lost: (cause, restartInMs) => listener.replicaLost(cause, restartInMs),
      stuck: (stuck) => listener.replicaStuck(stuck),
      failed: (cause) => this.#fail(cause),
    })
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Requests admitted and not settled: queued and in flight. */
  get leaseCount(): number {
    return this.#leases.size
  }

  get hosts(): ReplicaHost[] {
    return this.#replicas.hosts
  }

  stats(): PoolStats {
    const queued = this.#queue.size
    return { ...this.#replicas.stats(), queued, inFlight: this.#leases.size - queued }
  }

  /** Starts the replicas and opens the pool. If one of them fails the pool is stopped and the reason thrown. */
  async start(): Promise<Signature> {
    try {
      const signature = await this.#replicas.start()
      if (this.#state !== 'created') throw this.#unavailable()
      this.#state = 'open'
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
    const replica = this.#replicas.takeIdle()
    if (replica === undefined && this.#queue.size >= this.settings.maxQueue) {
      request.reject(this.#overloaded())
      return
    }
    this.#lease(request)
    if (replica === undefined) this.#queue.push(request)
    else if (!this.#scope.runInAsyncScope(this.#dispatch, this, replica, request)) this.#next(replica)
  }

  /** Resolves when no admitted request is left, for a moment at least. */
  empty(): Promise<void> {
    if (this.#leases.size === 0) return Promise.resolve()
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
    const requests = [...this.#leases]
    for (const request of requests) request.reject(error)
    return requests.length
  }

  /**
   * Releases every session and ends every thread, each as soon as it is outside native
   * code. What is not over after `timeoutMs` is left to itself, no longer keeps the
   * process alive, and is returned. May be called again, with another limit.
   */
  stop(timeoutMs: number): Promise<StuckReplica[]> {
    return this.#scope.runInAsyncScope(() => {
      if (this.#state !== 'stopped') answerCredit.leave()
      this.#state = 'stopped'
      this.rejectAll(this.#unavailable())
      return this.#replicas.stop(timeoutMs)
    })
  }

  /** Replicas whose task has not returned. */
  stuck(): StuckReplica[] {
    return this.#replicas.stuck()
  }

  /** Resolves when the threads that `stop` left to themselves have ended too. */
  quarantineOver(): Promise<void> {
    return this.#replicas.quarantineOver()
  }

  #lease(request: RunRequest): void {
    this.#leases.add(request)
    const report = request.onSettled
    request.onSettled = (settled, error) => {
      if (settled.stage === 'queued') this.#queue.remove(settled)
      this.#leases.delete(settled)
      report?.(settled, error)
      if (this.#leases.size > 0) return
      for (const resolve of this.#whenEmpty.splice(0)) resolve()
    }
  }

  /** Whether the replica runs it; an input that cannot be copied is rejected. */
  #dispatch(replica: Replica, request: RunRequest): boolean {
    try {
      const { feeds, outputs } = request
      if (feeds === undefined) throw new Error('a request was admitted without its input')
      const packed = packFeeds(feeds, request.transfer)
      request.stage = 'in-flight'
      // A listener of the tracker may have aborted it just now.
      if (request.isSettled) return false
      replica.run(request, { kind: 'run', feeds: packed.feeds, outputs }, packed.transfer).then(
        (reply) => this.#finish(replica, request, reply),
        (error: unknown) => this.#miss(replica, request, error),
      )
      return true
    } catch (error) {
      request.reject(
        asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be copied', error, this.#subject()),
      )
      return false
    }
  }

  #finish(replica: Replica, request: RunRequest, reply: ReplicaReplies['run']): void {
    if (replica.state === 'busy') this.#next(replica)
    if (reply.ok) {
      const { outputs } = reply
      // Piscina's record of the task outlives it, and would keep the answer until a full collection.
      reply.outputs = NOTHING
      answerCredit.count(outputs)
      request.resolve(outputs)
    } else {
      request.reject(decodeError(reply.error))
    }
  }

  /** The run gave no reply: the thread died, or the message could not be sent. */
  #miss(replica: Replica, request: RunRequest, error: unknown): void {
    if (error instanceof errors.ERR_REPLICA_EXITED) {
      if (replica.state === 'busy') replica.state = 'dead'
      request.reject(error)
      return
    }
    if (replica.state === 'busy') this.#next(replica)
    request.reject(asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be sent', error, this.#subject()))
  }

  /** Gives the replica the next waiting request, or lets it rest. */
  #next(replica: Replica): void {
    replica.rest()
    for (let request = this.#queue.shift(); request !== undefined; request = this.#queue.shift()) {
      if (this.#dispatch(replica, request)) return
    }
    this.#replicas.rest(replica)
  }

  #fail(cause: Error): void {
    if (this.#state === 'stopped') return
    this.#state = 'failed'
    const { model, version, crashBudget, crashWindowMs } = this.settings
    const error = new errors.ERR_CIRCUIT_OPEN(
      `replicas of ${model}@${version} keep dying (${crashBudget} replacements within ${crashWindowMs} ms are allowed); the last: ${cause.message}`,
      { model, version, cause },
    )
    for (let request = this.#queue.shift(); request !== undefined; request = this.#queue.shift()) {
      request.reject(error)
    }
    this.#listener.poolFailed(error)
  }

  #unavailable(): Error {
    const { model, version } = this.settings
    return new errors.ERR_MODEL_UNAVAILABLE(
      `the pool of ${model}@${version} admits no requests (${this.#state})`,
      this.#subject(),
    )
  }

  #overloaded(): Error {
    const { model, version, maxQueue } = this.settings
    return new errors.ERR_OVERLOADED(
      `${maxQueue} requests wait for ${model}@${version} already; slow down, add replicas or raise maxQueue`,
      { ...this.#subject(), retryAfterMs: 100 },
    )
  }

  #subject(): { model: string; version: string } {
    return { model: this.settings.model, version: this.settings.version }
  }
}
