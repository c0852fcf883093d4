import { CostModel } from './cost-model.js'
import { ShapeProof } from './shape-proof.js'

/** Requests of one priority, linked through themselves. */
export class PriorityList<Request> {
  first: Request | undefined
  last: Request | undefined
  readonly priority: number

  constructor(priority: number) {
    this.priority = priority
  }
}

/** Requests of one shape, which may share a run. */
export class ShapeBucket<Request> {
  /** The lists of requests, highest priority first; empty lists are kept for later requests. */
  readonly levels: PriorityList<Request>[] = []
  readonly costs = new CostModel()
  readonly proof = new ShapeProof()
  /** Number of choices so far between a batch and single runs. */
  choices = 0
  /** Number of waiting requests in the bucket. */
  size = 0

  /** Returns the next request: the oldest of the highest priority. */
  first(): Request | undefined {
    for (const { first } of this.levels) if (first !== undefined) return first
    return undefined
  }
}

/** Returns the list of a priority; creates it if there is none. */
export function priorityListOf<Request>(
  levels: PriorityList<Request>[],
  priority: number,
): PriorityList<Request> {
  let at = 0
  while (at < levels.length && (levels[at] as PriorityList<Request>).priority > priority) at += 1
  const found = levels[at]
  if (found?.priority === priority) return found
  const created = new PriorityList<Request>(priority)
  levels.splice(at, 0, created)
  return created
}
