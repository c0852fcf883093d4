import type { Chart } from '../report/line-chart.js'
import type { Machine } from './machine.js'
import type { Finding } from './scope.js'

/** Content of `bench/published/<scope>.json`: the medians without their samples. */
export interface Published {
  readonly scope: string
  readonly quantity: string
  readonly measuredAt: string
  readonly machine: Machine
  readonly ratios: readonly Finding[]
  readonly figures: Readonly<Record<string, readonly (readonly string[])[]>>
  readonly chart?: Chart
}
