import type { Chart } from '../report/line-chart.js'

/** One line of a result, with its target if it has one. */
export interface Finding {
  readonly name: string
  readonly value: string
  readonly target?: string
  readonly isMet?: boolean
}

export interface ScopeResult {
  /** Main findings, which are printed first. */
  readonly ratios: readonly Finding[]
  /** Tables of absolute figures by caption; the first row is the head. */
  readonly figures: Readonly<Record<string, readonly (readonly string[])[]>>
  /** Violated guarantees; the bench fails if there are any. */
  readonly failures: readonly string[]
  /** Samples and settings, which the JSON file holds. */
  readonly data: unknown
  /** Chart that is drawn beside the JSON file. */
  readonly chart?: Chart
}

/** One benchmark, which `bench/scopes/<name>/scope.ts` exports as `scope`. */
export interface Scope {
  /** Measured quantity, in one line. */
  readonly quantity: string
  /** Resolves with the result; `args` are the arguments of the command line after the name of the scope. */
  run(args: readonly string[]): Promise<ScopeResult>
}
