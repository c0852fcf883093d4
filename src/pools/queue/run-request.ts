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
  /** False for a request that is to have a run of its own. */
  readonly batch?: boolean | undefined
}

/** The place of a request: it is `in-flight` from the moment its pack is made until it settles. */
export type RequestStage = 'waiting' | 'queued' | 'in-flight' | 'settled'

/** The pool that has admitted a request, and takes its lease back when it settles. */
export interface LeaseHolder {
  settled(request: RunRequest): void
}

/**
 * Keeps record of a request's way; called in this order, for the end exactly once. Listeners of the
 * application hear of it, but not while an operation of a pool is under way (see `Outbox`).
 */
export interface TrackedRequest {
  /** When it was received, by `Clock.now`. */
  readonly startedAtMs: number
  queued(nowMs: number): void
  running(nowMs: number): void
  settled(error: unknown, nowMs: number): void
}

/**
 * One caller's request: settled exactly once, by its answer, its deadline, its signal
 * or whoever gives up on it. No run can be cancelled: when the caller stops waiting the
 * replica goes on, and the late answer is thrown away.
 */
export class RunRequest implements AbortFollower {
  readonly promise: Promise<Outputs>
  readonly model: string
  readonly version: string
  /** These four by `Clock.now`, which is asked once for all who want to know. */
  readonly startedAtMs: number
  /** Later than that if its version had to be loaded. */
  admittedAtMs: number
  runningAtMs = 0
  settledAtMs = 0
  readonly outputs: readonly string[] | undefined
  readonly transfer: boolean
  /** A higher one goes first. */
  readonly priority: number
  readonly mayShareRun: boolean
  /** On the same clock; infinite without a limit. */
  readonly deadlineAtMs: number
  /** Of the signature's inputs, in their order; set once they have been checked. */
  inputs: readonly Tensor[] | undefined = undefined
  /** Of the requests it may share a run with; undefined if there are none. */
  bucket: ShapeBucket<RunRequest> | undefined = undefined
  /** How many rows it brings to a batch. */
  rows = 1
  /** What its inputs take of a pack; undefined until that is asked for. */
  inputBytes: number | undefined = undefined
  /** Its length, and to which it is filled up in a batch; both 0 for one that is not. */
  length = 0
  paddedTo = 0
  lease: LeaseHolder | undefined = undefined
  /** Neighbours in the queue, and in the bucket. */
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

  /** Marks it as one of a pool's queue. */
  markQueued(): void {
    this.#stage = 'queued'
    this.#tracked?.queued(this.admittedAtMs)
  }

  /** Marks it as taken out of the queue, to be run. */
  markTaken(): void {
    this.#stage = 'waiting'
  }

  /** Marks it as given to a replica, at `nowMs`. */
  start(nowMs: number): void {
    this.#stage = 'in-flight'
    this.runningAtMs = nowMs
    this.#tracked?.running(nowMs)
  }

  get isSettled(): boolean {
    return this.#stage === 'settled'
  }

  /** Its answer, which was there at `nowMs`. */
  resolve(outputs: Outputs, nowMs = this.#clock.now()): void {
    if (!this.isSettled) this.#settle(outputs, undefined, nowMs)
  }

  reject(error: unknown): void {
    if (!this.isSettled) this.#settle(undefined, error, this.#clock.now())
  }

  /** Its deadline has passed. */
  expire(): void {
    this.#expire(this.#limit)
  }

  /** Its signal has aborted. */
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

  /** An object may say that it is a signal, and be none. */
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
   * Ends the request, whether by an answer, a refusal, a deadline or an abort, in this order:
   *
   * 1. The lease, while the stage still shows the pool where the request is: its queue and counts are right
   *    from here on.
   * 2. The usage of the version, so that its counts agree with the pool's before anybody is called.
   * 3. The request itself: it cannot end again, holds no input, and no timer or signal ends it.
   * 4. The record of the tracker, whose listeners may call back: they find all of the above done.
   * 5. The promise: the caller goes on in a later microtask, when all of this is over.
   *
   * Timers and signals come in here, so the promise settles even if one of the steps throws.
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

  /** Lets go of what the request holds. */
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
