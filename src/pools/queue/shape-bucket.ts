import { RunCosts } from './cost-model.js'
import { ShapeProof } from './shape-proof.js'

/** Requests of one priority, linked through themselves. */
export class Level<Request> {
  first: Request | undefined
  last: Request | undefined
  readonly priority: number

  constructor(priority: number) {
    this.priority = priority
  }
}

/** Requests of one shape, which may share a run. */
export class Bucket<Request> {
  /** By priority, highest first; those without requests stay for the next. */
  readonly levels: Level<Request>[] = []
  readonly costs = new RunCosts()
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
export function levelOf<Request>(levels: Level<Request>[], priority: number): Level<Request> {
  let at = 0
  while (at < levels.length && (levels[at] as Level<Request>).priority > priority) at += 1
  const found = levels[at]
  if (found?.priority === priority) return found
  const made = new Level<Request>(priority)
  levels.splice(at, 0, made)
  return made
}
