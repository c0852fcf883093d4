import type { RunRequest } from './run-request.js'
import { type PriorityList, priorityListOf, type ShapeBucket } from './shape-bucket.js'

/** The waiting time that one step of priority outweighs. */
const PRIORITY_STEP_MS = 1_000

/**
 * The requests that wait for a replica. A higher priority goes first, but each step of priority outweighs at most a
 * second of waiting, so that no request waits for ever. Adding, taking and removing have constant cost, whatever the
 * length of the queue.
 */
export class RequestQueue {
  size = 0
  /** The lists of requests, highest priority first; empty lists are kept for later requests. */
  readonly #levels: PriorityList<RunRequest>[] = []

  push(request: RunRequest): void {
    const level = priorityListOf(this.#levels, request.priority)
    request.previous = level.last
    if (level.last === undefined) level.first = request
    else level.last.next = request
    level.last = request
    this.size += 1
    if (request.bucket !== undefined) this.#join(request, request.bucket)
    request.markQueued()
  }

  /** Returns the next request without taking it out. */
  first(): RunRequest | undefined {
    const [only] = this.#levels
    if (this.#levels.length === 1) return only?.first
    let best: RunRequest | undefined
    for (const { first } of this.#levels) {
      if (first !== undefined && (best === undefined || rankOf(first) < rankOf(best))) best = first
    }
    return best
  }

  shift(): RunRequest | undefined {
    const request = this.first()
    if (request !== undefined) this.take(request)
    return request
  }

  /** Takes out a request that will be run. */
  take(request: RunRequest): void {
    this.remove(request)
    request.markTaken()
  }

  remove(request: RunRequest): void {
    const level = priorityListOf(this.#levels, request.priority)
    const { previous, next } = request
    if (previous === undefined) level.first = next
    else previous.next = next
    if (next === undefined) level.last = previous
    else next.previous = previous
    request.previous = undefined
    request.next = undefined
    this.size -= 1
    if (request.bucket !== undefined) this.#leave(request, request.bucket)
  }

  /** Moves every request to the bucket to which it belongs now. */
  sort(bucketOf: (request: RunRequest) => ShapeBucket<RunRequest> | undefined): void {
    for (const { first } of this.#levels) {
      for (let request = first; request !== undefined; request = request.next) {
        if (request.bucket !== undefined) this.#leave(request, request.bucket)
        request.bucket = bucketOf(request)
        if (request.bucket !== undefined) this.#join(request, request.bucket)
      }
    }
  }

  #join(request: RunRequest, bucket: ShapeBucket<RunRequest>): void {
    const level = priorityListOf(bucket.levels, request.priority)
    request.previousInBucket = level.last
    if (level.last === undefined) level.first = request
    else level.last.nextInBucket = request
    level.last = request
    bucket.size += 1
  }

  #leave(request: RunRequest, bucket: ShapeBucket<RunRequest>): void {
    const level = priorityListOf(bucket.levels, request.priority)
    const { previousInBucket, nextInBucket } = request
    if (previousInBucket === undefined) level.first = nextInBucket
    else previousInBucket.nextInBucket = nextInBucket
    if (nextInBucket === undefined) level.last = previousInBucket
    else nextInBucket.previousInBucket = previousInBucket
    request.previousInBucket = undefined
    request.nextInBucket = undefined
    bucket.size -= 1
  }
}

/** Returns the time at which a request of priority 0 would have to come to have the same rank. */
function rankOf({ startedAtMs, priority }: RunRequest): number {
  return startedAtMs - priority * PRIORITY_STEP_MS
}
