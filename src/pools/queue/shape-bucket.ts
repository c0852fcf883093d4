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
  /** By priority, highest first; those without requests stay for the next. */
  readonly levels: PriorityList<Request>[] = []
  readonly costs = new CostModel()
  readonly proof = new ShapeProof()
  /** How often it was chosen between a batch and its requests one by one. */
  choices = 0
  /** Requests that wait in it. */
  size = 0

  /** The next of its requests: of the highest priority the oldest. */
  first(): Request | undefined {
    for (const { first } of this.levels) if (first !== undefined) return first
    return undefined
  }
}

/** The list of that priority, made if there is none. */
export function priorityListOf<Request>(
  levels: PriorityList<Request>[],
  priority: number,
): PriorityList<Request> {
  let at = 0
  while (at < levels.length && (levels[at] as PriorityList<Request>).priority > priority) at += 1
  const found = levels[at]
  if (found?.priority === priority) return found
  const made = new PriorityList<Request>(priority)
  levels.splice(at, 0, made)
  return made
}
