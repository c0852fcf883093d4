import { elementCount } from '../../tensors/batch/rows.js'
import { ELEMENT_TYPES } from '../../tensors/element-types.js'
import type { Batching } from '../batching/batching.js'
import type { CostModel } from '../queue/cost-model.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { RequestQueue } from '../queue/request-queue.js'
import type { RunRequest } from '../queue/run-request.js'
import type { ShapeBucket } from '../queue/shape-bucket.js'

/** What waits, and what is known of it. */
interface Demand {
  readonly queue: RequestQueue
  readonly batching: Batching
  /** Of requests by themselves, whatever their shape. */
  readonly costs: CostModel
  /** A pack with more bytes of inputs and answers is one of a single run, unless that is a batch. */
  readonly maxPackBytes: number
  /** What the answer of a row takes of a pack, as far as is known. */
  readonly answerBytes: number
}

export interface SchedulingInput extends Demand {
  /** Replicas with nothing to do, the one that is chosen for among them. */
  readonly idle: number
  /** All that are there. */
  readonly replicas: number
  readonly nowMs: number
  /** Runs are added to a pack for as long as all of it takes so long; longer where much waits. */
  readonly maxPackMs: number
}

/** What a message to a thread and back costs: work that takes less is not worth a second one. */
const MESSAGE_MS = 0.05
/** What a run of a pack costs beside the run itself. */
const RUN_MS = 0.01
/** So many requests are a pack of their own, however short their run. */
const MIN_SHARE = 16
/** A pack may take so large a part of what each replica has to do, */
const PACK_SHARE = 0.5
/** but not more than so many times `maxPackMs`. */
const MAX_STRETCH = 4
/** A batch is faster than its requests one by one, so it may be so many times larger than a pack of those. */
const BATCH_STRETCH = 4
/** A batch has to be that much faster than its requests one by one. */
const MIN_GAIN = 0.05
/** A batch is split among idle replicas if they are done in so much of the time. */
const SOONER = 0.83
/** Rows are added to a batch until what the run itself costs is so small a part of it. */
const RUN_SHARE = 0.05
/** One in so many choices between a batch and its requests one by one goes the other way, to know its cost still. */
const TRY_EVERY = 128

/**
 * Takes from the queue what one idle replica is to do next: at least one run if anybody waits, more
 * when that pays, but never so many that another idle replica has nothing to do. Requests whose
 * deadline has passed are dropped on the way.
 */
export function planRuns(choice: SchedulingInput): PlannedRun[] {
  const { queue, nowMs } = choice
  let { maxPackMs } = choice
  const runs: PlannedRun[] = []
  let share = Math.ceil(queue.size / choice.idle)
  const isLittle = queue.size * (choice.costs.singleMs ?? Infinity) < MESSAGE_MS && share < MIN_SHARE
  if (isLittle) share = queue.size
  let totalMs = 0
  let totalBytes = 0
  let deadlineAtMs = Number.POSITIVE_INFINITY
  while (share > 0) {
    const head = nextInTime(queue, nowMs)
    if (head === undefined) break
    const size = batchSize(choice, head, totalMs)
    const ms = expectedMs(choice, head, size) ?? Number.POSITIVE_INFINITY
    if (totalMs + ms > maxPackMs) maxPackMs = longestPackMs(choice, totalMs)
    const endsAtMs = nowMs + totalMs + ms
    const isTooLong = totalMs + ms > maxPackMs || endsAtMs > Math.min(deadlineAtMs, head.deadlineAtMs)
    const isTooLarge = totalBytes + size * bytesOf(choice, head) > choice.maxPackBytes
    if (runs.length > 0 && (isTooLong || isTooLarge)) break
    const run = takeRun(choice, head, size)
    for (const request of run.requests) deadlineAtMs = Math.min(deadlineAtMs, request.deadlineAtMs)
    totalBytes += run.bytes
    runs.push(run)
    share -= run.requests.length
    totalMs += ms
  }
  return runs
}

/** How long all that waits would keep one replica busy, as far as the next request tells. */
export function waitingMs(demand: Demand): number {
  const { queue } = demand
  const head = queue.first()
  if (head === undefined) return 0
  const { bucket, rows } = head
  const most = mostRequests(demand, head)
  const size = bucket !== undefined && most > 1 && pays(bucket, most, rows) ? most : 1
  return (queue.size * (expectedMs(demand, head, size) ?? 0)) / size
}

/** Whoever waits behind many others does not notice that some of them come back together. */
function longestPackMs(choice: SchedulingInput, chosenMs: number): number {
  const { maxPackMs, replicas } = choice
  const shareMs = (PACK_SHARE * (chosenMs + waitingMs(choice))) / replicas
  return Math.min(Math.max(maxPackMs, shareMs), MAX_STRETCH * maxPackMs)
}

/** Whether waiting for more could make a larger batch, as far as is known. */
export function couldGrow(demand: Demand, head: RunRequest): boolean {
  const { bucket, rows } = head
  if (bucket === undefined || bucket.size >= mostRequests(demand, head)) return false
  return pays(bucket, bucket.size + 1, rows)
}

/** How many requests like this one a batch may have. */
function mostRequests(demand: Demand, request: RunRequest): number {
  const { batching, maxPackBytes } = demand
  const { bucket, rows } = request
  const mostRows = Math.min(batching.maxRows, bucket?.proof.mostRows(rows) ?? 0)
  return Math.floor(Math.min(mostRows / rows, (BATCH_STRETCH * maxPackBytes) / bytesOf(demand, request)))
}

/** What a request takes of a pack. The declared dims are asked, not the caller's arrays. */
function bytesOf({ answerBytes }: Demand, request: RunRequest): number {
  request.inputBytes ??= inputBytes(request)
  return request.inputBytes + request.rows * answerBytes
}

function inputBytes({ inputs, transfer }: RunRequest): number {
  let bytes = 0
  if (transfer) return bytes
  for (const { type, dims } of inputs ?? []) {
    bytes += elementCount(dims) * ELEMENT_TYPES[type].bytesPerElement
  }
  return bytes
}

/** The request whose turn it is; those that are too late are dropped. */
function nextInTime(queue: RequestQueue, nowMs: number): RunRequest | undefined {
  for (let head = queue.first(); head !== undefined; head = queue.first()) {
    if (head.deadlineAtMs > nowMs) return head
    head.expire()
  }
  return undefined
}

/** How many requests of the head's bucket are to share its run; 1 is none. */
function batchSize(choice: SchedulingInput, head: RunRequest, spentMs: number): number {
  const { idle, nowMs } = choice
  const { bucket, rows, deadlineAtMs } = head
  if (bucket === undefined || bucket.size < 2) return 1
  bucket.proof.choose()
  const { perRowMs, perRunMs } = bucket.costs
  let size = Math.min(bucket.size, mostRequests(choice, head))
  if (perRowMs > 0) {
    const rowMs = perRowMs * rows
    const share = Math.ceil(bucket.size / idle)
    const runMs = Math.max(0, perRunMs)
    const isSooner = runMs + rowMs * share + MESSAGE_MS <= SOONER * (runMs + rowMs * bucket.size)
    // In parallel where that is worth a second run, or where the main thread can prepare one meanwhile.
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

/** Whether a batch of so many requests is of a shape that is not proven. */
function isTrial({ bucket, rows }: RunRequest, size: number): boolean {
  return size > 1 && bucket !== undefined && size * rows > bucket.proof.provenRows
}

/** What the batch takes and its requests one by one, as far as is known. */
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

/** Takes the head and, of its bucket, the next that fit. */
function takeRun(
  choice: SchedulingInput,
  head: RunRequest,
  size: number,
): PlannedRun & { readonly bytes: number } {
  const { queue, batching, nowMs } = choice
  queue.take(head)
  const requests: [RunRequest, ...RunRequest[]] = [head]
  let { rows } = head
  let bytes = bytesOf(choice, head)
  const bucket = head.bucket
  const mostRows = Math.min(batching.maxRows, bucket?.proof.mostRows(rows) ?? 0)
  while (requests.length < size && bucket !== undefined) {
    const next = bucket.first()
    if (next === undefined || rows + next.rows > mostRows) break
    const nextBytes = bytesOf(choice, next)
    if (bytes + nextBytes > BATCH_STRETCH * choice.maxPackBytes) break
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
