import type { RunRequest } from './run-request.js'
import { type PriorityList, priorityListOf, type ShapeBucket } from './shape-bucket.js'

/** By how much a step of priority is worth more than having waited: that long. */
const PRIORITY_STEP_MS = 1_000

/**
 * The requests that wait for a replica. A higher priority goes first, but each step of it is worth a
 * second of waiting at most, so that nothing waits for ever. Whatever its length, adding, taking and
 * removing cost the same.
 */
export class RequestQueue {
  size = 0
  /** Highest priority first; those without requests stay for the next. */
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

  /** The next request, which stays. */
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

  /** Takes a request out, whose turn it is. */
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

  /** Puts every request in the bucket it belongs to by now. */
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

/** When it would have come if it were of priority 0. */
function rankOf({ startedAtMs, priority }: RunRequest): number {
  return startedAtMs - priority * PRIORITY_STEP_MS
}
