import { asRuntimeError } from '../protocol/error-codec.js'
import type { ChosenRun } from './choose-runs.js'
import type { RunRequest } from './run-request.js'

/** Requests that were to run and did not, through no fault of theirs: they go before all that is queued. */
export class Requeue {
  /** Those whose replica is gone. */
  #orphans: ChosenRun[] = []
  /** Those of packs that could not be sent: each gets a pack of its own, which shows whose fault it is. */
  #suspects: RunRequest[] = []
  #refusal: Error | undefined

  get size(): number {
    return this.#orphans.length + this.#suspects.length
  }

  *requests(): Generator<RunRequest> {
    for (const { requests } of this.#orphans) yield* requests
    yield* this.#suspects
  }

  /** Takes what a replica was sent and has not begun, unless no replica will come for it. */
  takeBack(runs: readonly ChosenRun[], error: unknown): void {
    for (const { requests } of runs) {
      for (const request of requests) {
        // What it transferred is with the thread.
        if (this.#refusal !== undefined || request.transfer) request.reject(this.#refusal ?? error)
        // One by one: by now it may be known that they must not share a run.
        else this.#orphans.push({ requests: [request], rows: request.rows })
      }
    }
  }

  /** Takes the requests of a pack that could not be sent; the only one of a pack is rejected. */
  separate(runs: readonly ChosenRun[], error: unknown): void {
    const requests = runs.flatMap((run) => run.requests)
    const [only] = requests
    if (only !== undefined && requests.length === 1) {
      const { model, version } = only
      only.reject(asRuntimeError('ERR_INVALID_INPUT', 'the input cannot be sent', error, { model, version }))
      return
    }
    for (const request of requests) {
      if (this.#refusal === undefined) this.#suspects.push(request)
      else request.reject(this.#refusal)
    }
  }

  /** The runs of the next pack. */
  next(): ChosenRun[] {
    const suspect = this.#suspects.shift()
    return suspect === undefined ? this.#orphans.splice(0) : [{ requests: [suspect], rows: suspect.rows }]
  }

  /** No replica will come: all are rejected, now and later. */
  refuse(error: Error): void {
    this.#refusal = error
    const requests = [...this.requests()]
    this.#orphans = []
    this.#suspects = []
    for (const request of requests) request.reject(error)
  }
}

/** Returns the run without the requests that have settled; an empty list if none is left. */
export function openOf({ requests }: ChosenRun): ChosenRun[] {
  const open = requests.filter(({ isSettled }) => !isSettled)
  const rows = open.reduce((sum, request) => sum + request.rows, 0)
  return open.length === 0 ? [] : [{ requests: open, rows }]
}
