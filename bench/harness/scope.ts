import type { Chart } from '../report/line-chart.js'

/** One line of a result, with what it should be and whether it is, where that is told. */
export interface Finding {
  readonly name: string
  readonly value: string
  readonly target?: string
  readonly isMet?: boolean
}

export interface ScopeResult {
  /** What the scope is about: printed first. */
  readonly ratios: readonly Finding[]
  /** Tables of absolute figures, by caption; the first row is the head. */
  readonly figures: Readonly<Record<string, readonly (readonly string[])[]>>
  /** Promises that were broken; the bench fails if there is one. */
  readonly failures: readonly string[]
  /** What goes into the JSON file. */
  readonly data: unknown
  /** Drawn beside the JSON file. */
  readonly chart?: Chart
}

/** What `bench/scopes/<name>/scope.ts` exports as `scope`. */
export interface Scope {
  /** The quantity that is measured, in one line. */
  readonly quantity: string
  /** `args` are the command line's after the scope's name. */
  run(args: readonly string[]): Promise<ScopeResult>
}
