import { asRuntimeError } from '../../protocol/error-codec.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { RunRequest } from '../queue/run-request.js'
import type { PoolLife } from '../settings/pool-life.js'

/** Requests that were to run and did not, through no fault of theirs: they go before all that is queued. */
export class Requeue {
  readonly #life: PoolLife
  /** Requests whose replica is gone. */
  #orphans: RunRequest[] = []
  /** Requests of packs that could not be sent: each gets a pack of its own, which shows whose fault it is. */
  #suspects: RunRequest[] = []

  constructor(life: PoolLife) {
    this.#life = life
  }

  get size(): number {
    return this.#orphans.length + this.#suspects.length
  }

  *requests(): Generator<RunRequest> {
    yield* this.#orphans
    yield* this.#suspects
  }

  /** Takes what a replica was sent and has not begun, unless no replica will come for it. */
  takeBack(runs: readonly PlannedRun[], error: unknown): void {
    for (const { requests } of runs) {
      for (const request of requests) {
        // What it transferred is with the thread.
        if (request.transfer) request.reject(this.#life.refusal ?? error)
        else this.#keep(request, this.#orphans)
      }
    }
  }

  /** Takes what a replica was given and was not sent, unless no replica will come for it. */
  putBack(runs: readonly PlannedRun[]): void {
    for (const { requests } of runs) for (const request of requests) this.#keep(request, this.#orphans)
  }

  /** Takes the requests of a pack that could not be sent; the only one of a pack is rejected. */
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

  /** Returns the runs of the next pack, one for each request: by now it may be known that they must share none. */
  next(): PlannedRun[] {
    const suspect = this.#suspects.shift()
    const requests = suspect === undefined ? this.#orphans.splice(0) : [suspect]
    return requests.map((request) => ({ requests: [request], rows: request.rows }))
  }

  /** Rejects all: no replica will come for them. */
  refuse(error: Error): void {
    const requests = [...this.requests()]
    this.#orphans = []
    this.#suspects = []
    for (const request of requests) request.reject(error)
  }

  #keep(request: RunRequest, list: RunRequest[]): void {
    const { refusal } = this.#life
    if (refusal === undefined) list.push(request)
    else request.reject(refusal)
  }
}

/** Returns the runs without the requests that have settled, and none that is empty. */
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
