import type { Machine } from '../harness/machine.js'
import type { Finding } from '../harness/scope.js'
import type { Chart } from './line-chart.js'

/** What `bench/published/<scope>.json` holds: the medians, without the samples behind them. */
export interface Published {
  readonly scope: string
  readonly quantity: string
  readonly measuredAt: string
  readonly machine: Machine
  readonly ratios: readonly Finding[]
  readonly figures: Readonly<Record<string, readonly (readonly string[])[]>>
  readonly chart?: Chart
}
