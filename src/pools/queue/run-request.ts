import { type AbortFollower, follow, isTimeout, unfollow } from '../../async/shared-abort-listener.js'
import { errors, messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'
import type { Outputs, Tensor } from '../../tensors/tensor.js'
import type { ShapeBucket } from './shape-bucket.js'

export interface RunRequestOptions {
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly outputs?: readonly string[] | undefined
  readonly transfer?: boolean | undefined
  readonly priority?: number | undefined
  /** False for a request that must have a run of its own. */
  readonly batch?: boolean | undefined
}

/** The place of a request. It is `in-flight` from the moment its pack is made until it settles. */
export type RequestStage = 'waiting' | 'queued' | 'in-flight' | 'settled'

/** The pool that has admitted a request and releases its lease when the request settles. */
export interface LeaseHolder {
  settled(request: RunRequest): void
}

/**
 * The record of a request. Its methods are called in this order, the last one exactly once. They call listeners of
 * the application, but never during an operation of a pool (see `Outbox`).
 */
export interface TrackedRequest {
  /** Time at which the request was received, by `Clock.now`. */
  readonly startedAtMs: number
  queued(nowMs: number): void
  running(nowMs: number): void
  settled(error: unknown, nowMs: number): void
}

/**
 * One caller's request. It is settled exactly once: by its outputs, its deadline, its signal, or an error of the
 * pool. A run cannot be cancelled: when the caller stops waiting, the replica goes on, and the late outputs are
 * discarded.
 */
export class RunRequest implements AbortFollower {
  readonly promise: Promise<Outputs>
  readonly model: string
  readonly version: string
  /** This time and the three below are by `Clock.now`, which is read once for all that need the time. */
  readonly startedAtMs: number
  /** Later than `startedAtMs` if the version had to be loaded. */
  admittedAtMs: number
  runningAtMs = 0
  settledAtMs = 0
  readonly outputs: readonly string[] | undefined
  readonly transfer: boolean
  /** Requests with a higher priority go first. */
  readonly priority: number
  readonly mayShareRun: boolean
  /** Deadline by the same clock; infinite without a limit. */
  readonly deadlineAtMs: number
  /**
   * The inputs in the signature's order; undefined until they have been checked, and after the request has settled.
   */
  inputs: readonly Tensor[] | undefined = undefined
  /** The bucket of the requests with which it may share a run; undefined if there are none. */
  bucket: ShapeBucket<RunRequest> | undefined = undefined
  /** Number of rows that it adds to a batch. */
  rows = 1
  /** Number of bytes that its inputs take of a pack; undefined until first needed. */
  inputBytes: number | undefined = undefined
  /**
   * Length of its inputs, and the length to which they are padded in a batch; both 0 for a request that is not
   * padded.
   */
  length = 0
  paddedTo = 0
  lease: LeaseHolder | undefined = undefined
  /** Neighbours in the queue and in the bucket. */
  previous: RunRequest | undefined = undefined
  next: RunRequest | undefined = undefined
  previousInBucket: RunRequest | undefined = undefined
  nextInBucket: RunRequest | undefined = undefined
  /** Counts the end of the request for its version. */
  onSettled: ((request: RunRequest, error: unknown) => void) | undefined
  readonly #clock: Clock
  readonly #tracked: TrackedRequest | undefined
  #stage: RequestStage = 'waiting'
  #resolve!: (outputs: Outputs) => void
  #reject!: (error: unknown) => void
  #timer: Timer | undefined
  #limit = ''
  #signal: AbortSignal | undefined

  constructor(
    clock: Clock,
    model: string,
    version: string,
    options: RunRequestOptions,
    onSettled?: (request: RunRequest, error: unknown) => void,
    tracked?: TrackedRequest,
  ) {
    this.#clock = clock
    this.#tracked = tracked
    this.startedAtMs = tracked?.startedAtMs ?? clock.now()
    this.admittedAtMs = this.startedAtMs
    this.model = model
    this.version = version
    this.onSettled = onSettled
    this.outputs = options.outputs
    this.transfer = options.transfer ?? false
    this.priority = options.priority ?? 0
    this.mayShareRun = options.batch !== false && !this.transfer
    this.deadlineAtMs =
      options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.startedAtMs + options.timeoutMs
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (options.timeoutMs !== undefined) {
      this.#limit = `${options.timeoutMs} ms`
      this.#timer = clock.setTimeout(() => this.expire(), options.timeoutMs)
    }
    if (options.signal !== undefined) this.#follow(options.signal)
  }

  get stage(): RequestStage {
    return this.#stage
  }

  /** Marks the request as queued. */
  markQueued(): void {
    this.#stage = 'queued'
    this.#tracked?.queued(this.admittedAtMs)
  }

  /** Marks the request as taken out of the queue, to be run. */
  markTaken(): void {
    this.#stage = 'waiting'
  }

  /** Marks the request as assigned to a replica at `nowMs`. */
  start(nowMs: number): void {
    this.#stage = 'in-flight'
    this.runningAtMs = nowMs
    this.#tracked?.running(nowMs)
  }

  get isSettled(): boolean {
    return this.#stage === 'settled'
  }

  /** Resolves the request with its outputs, which arrived at `nowMs`. */
  resolve(outputs: Outputs, nowMs = this.#clock.now()): void {
    if (!this.isSettled) this.#settle(outputs, undefined, nowMs)
  }

  reject(error: unknown): void {
    if (!this.isSettled) this.#settle(undefined, error, this.#clock.now())
  }

  /** Rejects the request because its deadline has passed. */
  expire(): void {
    this.#expire(this.#limit)
  }

  /** Rejects the request because its signal has aborted. */
  aborted(reason: unknown): void {
    if (isTimeout(reason)) {
      this.#expire('its signal', reason)
      return
    }
    this.reject(
      new errors.ERR_ABORTED(`the request to ${this.model} was aborted by its signal`, {
        model: this.model,
        version: this.version,
        cause: reason,
      }),
    )
  }

  /** Follows the caller's signal. An object may only look like a signal; then the request is rejected. */
  #follow(signal: AbortSignal): void {
    this.#signal = signal
    try {
      follow(signal, this)
    } catch (cause) {
      this.reject(
        new errors.ERR_INVALID_OPTIONS(`predict: \`signal\` cannot be followed: ${messageOf(cause)}`, {
          model: this.model,
          version: this.version,
          cause,
        }),
      )
    }
  }

  /**
   * Settles the request, whether with outputs, an error, a deadline or an abort, in this order:
   *
   * 1. The lease is released while the stage still shows the pool where the request is, so that the pool's queue
   *    and counts are correct from here on.
   * 2. The statistics of the version are updated, so that they agree with the pool's before any listener is called.
   * 3. The request is closed: it cannot settle again, holds no input, and no timer or signal ends it.
   * 4. The tracker's record is updated. Its listeners may call back, and find all of the above done.
   * 5. The promise settles; the caller goes on in a later microtask.
   *
   * Timers and signals call this directly, so the promise settles even if one of the steps throws.
   */
  #settle(outputs: Outputs | undefined, error: unknown, nowMs: number): void {
    try {
      this.settledAtMs = nowMs
      this.lease?.settled(this)
      this.onSettled?.(this, error)
      this.#close()
      this.#tracked?.settled(error, nowMs)
    } catch (unexpected) {
      this.#close()
      process.emitWarning(`a request could not be settled cleanly: ${messageOf(unexpected)}`)
    }
    if (outputs === undefined) this.#reject(error)
    else this.#resolve(outputs)
  }

  /** Frees what the request holds. */
  #close(): void {
    this.#stage = 'settled'
    this.inputs = undefined
    if (this.#timer !== undefined) this.#clock.clear(this.#timer)
    if (this.#signal !== undefined) unfollow(this.#signal, this)
  }

  #expire(limit: string, cause?: unknown): void {
    const stage = this.#stage === 'in-flight' ? 'in-flight' : 'queued'
    this.reject(
      new errors.ERR_DEADLINE_EXCEEDED(
        `the request to ${this.model}@${this.version} missed its deadline (${limit}) while ${stage === 'queued' ? 'it was queued' : 'it was running'}`,
        { model: this.model, version: this.version, stage, cause },
      ),
    )
  }
}
