import { elementCount } from '../../tensors/batch/rows.js'
import { ELEMENT_TYPES } from '../../tensors/element-types.js'
import type { Batching } from '../batching/batching.js'
import type { CostModel } from '../queue/cost-model.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { RequestQueue } from '../queue/request-queue.js'
import type { RunRequest } from '../queue/run-request.js'
import type { ShapeBucket } from '../queue/shape-bucket.js'

/** The waiting requests, and what is known of them. */
interface Demand {
  readonly queue: RequestQueue
  readonly batching: Batching
  /** Costs of single requests of any shape. */
  readonly costs: CostModel
  /** Maximum number of bytes of inputs and outputs of a pack of several runs; a batch may exceed it. */
  readonly maxPackBytes: number
  /** Number of bytes that the outputs of a row take of a pack, as far as it is known. */
  readonly outputBytes: number
}

export interface SchedulingInput extends Demand {
  /** Number of idle replicas, including the one that is planned for. */
  readonly idle: number
  /** Number of all replicas. */
  readonly replicas: number
  readonly nowMs: number
  /** Expected duration up to which runs are added to a pack; the limit grows with the backlog. */
  readonly maxPackMs: number
}

/** Cost of a message to a thread and back; less work than this is not worth a second message. */
const MESSAGE_MS = 0.05
/** Overhead of a run in a pack. */
const RUN_MS = 0.01
/** Minimum number of requests that are worth a pack of their own, however short their runs. */
const MIN_SHARE = 16
/** Maximum part of each replica's work that one pack may take. */
const PACK_SHARE = 0.5
/** Maximum factor by which a backlog may raise `maxPackMs`. */
const MAX_STRETCH = 4
/** Factor by which a batch may be larger than a pack of single runs, because it is faster. */
const BATCH_STRETCH = 4
/** Minimum relative gain of a batch over its requests one by one. */
const MIN_GAIN = 0.05
/** A batch is split among idle replicas if they are done within this part of its time. */
const SOONER = 0.83
/** Rows are added to a batch until the overhead of the run is this small a part of its time. */
const RUN_SHARE = 0.05
/**
 * One in this number of choices between a batch and single runs goes the other way, to keep both costs up to date.
 */
const TRY_EVERY = 128

/**
 * Takes from the queue the runs that one idle replica does next: at least one if a request waits, more if that pays,
 * but never so many that another idle replica has nothing to do. Requests whose deadline has passed are rejected on
 * the way.
 */
export function planRuns(input: SchedulingInput): PlannedRun[] {
  const { queue, nowMs } = input
  let { maxPackMs } = input
  const runs: PlannedRun[] = []
  let share = Math.ceil(queue.size / input.idle)
  const isLittle = queue.size * (input.costs.singleMs ?? Infinity) < MESSAGE_MS && share < MIN_SHARE
  if (isLittle) share = queue.size
  let totalMs = 0
  let totalBytes = 0
  let deadlineAtMs = Number.POSITIVE_INFINITY
  while (share > 0) {
    const head = nextInTime(queue, nowMs)
    if (head === undefined) break
    const size = batchSize(input, head, totalMs)
    const ms = expectedMs(input, head, size) ?? Number.POSITIVE_INFINITY
    if (totalMs + ms > maxPackMs) maxPackMs = longestPackMs(input, totalMs)
    const endsAtMs = nowMs + totalMs + ms
    const isTooLong = totalMs + ms > maxPackMs || endsAtMs > Math.min(deadlineAtMs, head.deadlineAtMs)
    const isTooLarge = totalBytes + size * bytesOf(input, head) > input.maxPackBytes
    if (runs.length > 0 && (isTooLong || isTooLarge)) break
    const run = takeRun(input, head, size)
    for (const request of run.requests) deadlineAtMs = Math.min(deadlineAtMs, request.deadlineAtMs)
    totalBytes += run.bytes
    runs.push(run)
    share -= run.requests.length
    totalMs += ms
  }
  return runs
}

/**
 * Returns the expected time for which all waiting requests would keep one replica busy, judging by the next request.
 */
export function waitingMs(demand: Demand): number {
  const { queue } = demand
  const head = queue.first()
  if (head === undefined) return 0
  const { bucket, rows } = head
  const most = mostRequests(demand, head)
  const size = bucket !== undefined && most > 1 && pays(bucket, most, rows) ? most : 1
  return (queue.size * (expectedMs(demand, head, size) ?? 0)) / size
}

/**
 * Returns the limit of a pack. With a long backlog, a longer pack adds no noticeable latency, so the limit may grow.
 */
function longestPackMs(input: SchedulingInput, plannedMs: number): number {
  const { maxPackMs, replicas } = input
  const shareMs = (PACK_SHARE * (plannedMs + waitingMs(input))) / replicas
  return Math.min(Math.max(maxPackMs, shareMs), MAX_STRETCH * maxPackMs)
}

/** Returns whether waiting for more requests could make a larger batch, as far as it is known. */
export function couldGrow(demand: Demand, head: RunRequest): boolean {
  const { bucket, rows } = head
  if (bucket === undefined || bucket.size >= mostRequests(demand, head)) return false
  return pays(bucket, bucket.size + 1, rows)
}

/** Returns the maximum number of requests like this one in a batch. */
function mostRequests(demand: Demand, request: RunRequest): number {
  const { batching, maxPackBytes } = demand
  const { bucket, rows } = request
  const mostRows = Math.min(batching.maxRows, bucket?.proof.mostRows(rows) ?? 0)
  return Math.floor(Math.min(mostRows / rows, (BATCH_STRETCH * maxPackBytes) / bytesOf(demand, request)))
}

/** Returns the number of bytes that a request takes of a pack, by its checked dims and not by the caller's arrays. */
function bytesOf({ outputBytes }: Demand, request: RunRequest): number {
  request.inputBytes ??= inputBytes(request)
  return request.inputBytes + request.rows * outputBytes
}

function inputBytes({ inputs, transfer }: RunRequest): number {
  let bytes = 0
  if (transfer) return bytes
  for (const { type, dims } of inputs ?? []) {
    bytes += elementCount(dims) * ELEMENT_TYPES[type].bytesPerElement
  }
  return bytes
}

/** Returns the next request whose deadline has not passed; rejects those whose deadline has. */
function nextInTime(queue: RequestQueue, nowMs: number): RunRequest | undefined {
  for (let head = queue.first(); head !== undefined; head = queue.first()) {
    if (head.deadlineAtMs > nowMs) return head
    head.expire()
  }
  return undefined
}

/** Returns the number of requests of the head's bucket that share its run; 1 for a single run. */
function batchSize(input: SchedulingInput, head: RunRequest, spentMs: number): number {
  const { idle, nowMs } = input
  const { bucket, rows, deadlineAtMs } = head
  if (bucket === undefined || bucket.size < 2) return 1
  bucket.proof.countChoice()
  const { perRowMs, perRunMs } = bucket.costs
  let size = Math.min(bucket.size, mostRequests(input, head))
  if (perRowMs > 0) {
    const rowMs = perRowMs * rows
    const share = Math.ceil(bucket.size / idle)
    const runMs = Math.max(0, perRunMs)
    const isSooner = runMs + rowMs * share + MESSAGE_MS <= SOONER * (runMs + rowMs * bucket.size)
    // The batch is split where parallel runs are worth a second run, or where the main thread can prepare one
    // meanwhile.
    if (isSooner || share >= MIN_SHARE) size = Math.min(size, share)
    size = Math.min(size, Math.max(2, Math.ceil((Math.max(0, perRunMs) + MESSAGE_MS) / (RUN_SHARE * rowMs))))
    size = Math.min(size, Math.floor((deadlineAtMs - nowMs - spentMs - perRunMs) / rowMs))
  }
  if (size < 2) return 1
  bucket.choices += 1
  const isTry = bucket.choices % TRY_EVERY === 0
  if (pays(bucket, size, rows) === isTry) return 1
  const isTooLate = isTrial(head, size) && nowMs + spentMs + trialMs(head, size) > deadlineAtMs
  return isTooLate ? 1 : size
}

/** Returns whether a batch of `size` requests is of a shape that is not proven. */
function isTrial({ bucket, rows }: RunRequest, size: number): boolean {
  return size > 1 && bucket !== undefined && size * rows > bucket.proof.provenRows
}

/** Returns the expected duration of the batch plus that of its requests one by one, as far as it is known. */
function trialMs({ bucket, rows }: RunRequest, size: number): number {
  return (bucket?.costs.batchMs(size * rows) ?? 0) + size * (bucket?.costs.aloneMs(rows) ?? 0)
}

function pays({ costs }: ShapeBucket<RunRequest>, requests: number, rows: number): boolean {
  const aloneMs = costs.aloneMs(rows)
  const batchMs = costs.batchMs(requests * rows)
  if (aloneMs === undefined || batchMs === undefined) return false
  return batchMs + RUN_MS < (1 - MIN_GAIN) * requests * (aloneMs + RUN_MS)
}

function expectedMs({ costs }: Demand, head: RunRequest, size: number): number | undefined {
  const { bucket, rows } = head
  if (isTrial(head, size)) return trialMs(head, size)
  return size === 1 ? (bucket?.costs ?? costs).aloneMs(rows) : bucket?.costs.batchMs(size * rows)
}

/** Takes the head and the next requests of its bucket that fit. */
function takeRun(
  input: SchedulingInput,
  head: RunRequest,
  size: number,
): PlannedRun & { readonly bytes: number } {
  const { queue, batching, nowMs } = input
  queue.take(head)
  const requests: [RunRequest, ...RunRequest[]] = [head]
  let { rows } = head
  let bytes = bytesOf(input, head)
  const bucket = head.bucket
  const mostRows = Math.min(batching.maxRows, bucket?.proof.mostRows(rows) ?? 0)
  while (requests.length < size && bucket !== undefined) {
    const next = bucket.first()
    if (next === undefined || rows + next.rows > mostRows) break
    const nextBytes = bytesOf(input, next)
    if (bytes + nextBytes > BATCH_STRETCH * input.maxPackBytes) break
    if (next.deadlineAtMs <= nowMs) {
      next.expire()
      continue
    }
    queue.take(next)
    requests.push(next)
    rows += next.rows
    bytes += nextBytes
  }
  return { requests, rows, bytes }
}
