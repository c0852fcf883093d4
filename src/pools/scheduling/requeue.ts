import { asRuntimeError } from '../../protocol/error-codec.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { RunRequest } from '../queue/run-request.js'
import type { PoolLife } from '../settings/pool-life.js'

/**
 * Requests that were assigned to a replica and not run through no fault of theirs; they go before all queued
 * requests.
 */
export class Requeue {
  readonly #life: PoolLife
  /** Requests whose replica is lost. */
  #requeued: RunRequest[] = []
  /** Requests of packs that could not be sent. Each gets a pack of its own, which shows which of them is at fault. */
  #suspects: RunRequest[] = []

  constructor(life: PoolLife) {
    this.#life = life
  }

  get size(): number {
    return this.#requeued.length + this.#suspects.length
  }

  *requests(): Generator<RunRequest> {
    yield* this.#requeued
    yield* this.#suspects
  }

  /** Requeues runs that were sent to a replica and not begun, unless no replica will run them. */
  takeBack(runs: readonly PlannedRun[], error: unknown): void {
    for (const { requests } of runs) {
      for (const request of requests) {
        // The transferred buffers are lost with the thread.
        if (request.transfer) request.reject(this.#life.refusal ?? error)
        else this.#keep(request, this.#requeued)
      }
    }
  }

  /** Requeues runs that were assigned to a replica and not sent, unless no replica will run them. */
  putBack(runs: readonly PlannedRun[]): void {
    for (const { requests } of runs) for (const request of requests) this.#keep(request, this.#requeued)
  }

  /**
   * Requeues the requests of a pack that could not be sent, each for a pack of its own; a request that was alone in
   * it is rejected.
   */
  separate(runs: readonly PlannedRun[], error: unknown): void {
    const requests = runs.flatMap((run) => run.requests)
    const [only] = requests
    if (only !== undefined && requests.length === 1) {
      const { model, version } = only
      only.reject(asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be sent', error, { model, version }))
      return
    }
    for (const request of requests) this.#keep(request, this.#suspects)
  }

  /** Returns the runs of the next pack, one for each request, because batching may have been disabled meanwhile. */
  next(): PlannedRun[] {
    const suspect = this.#suspects.shift()
    const requests = suspect === undefined ? this.#requeued.splice(0) : [suspect]
    return requests.map((request) => ({ requests: [request], rows: request.rows }))
  }

  /** Rejects all requests, because no replica will run them. */
  refuse(error: Error): void {
    const requests = [...this.requests()]
    this.#requeued = []
    this.#suspects = []
    for (const request of requests) request.reject(error)
  }

  #keep(request: RunRequest, list: RunRequest[]): void {
    const { refusal } = this.#life
    if (refusal === undefined) list.push(request)
    else request.reject(refusal)
  }
}

/** Returns the runs without settled requests and without runs that are then empty. */
export function openRuns(runs: readonly PlannedRun[]): readonly PlannedRun[] {
  for (const { requests } of runs) {
    for (const { isSettled } of requests) if (isSettled) return runs.flatMap(openRun)
  }
  return runs
}

function openRun(run: PlannedRun): PlannedRun[] {
  const [first, ...others] = run.requests.filter(({ isSettled }) => !isSettled)
  if (first === undefined) return []
  return [{ requests: [first, ...others], rows: others.reduce((sum, { rows }) => sum + rows, first.rows) }]
}
