import { median } from '../../harness/latency.js'

/** Values of one quantity of the two packages, measured in pairs. */
export interface Pairs {
  readonly name: string
  /** Less is better. */
  readonly isCost: boolean
  readonly first: readonly number[]
  readonly second: readonly number[]
}

/** Ratio of the second package to the first: the median of the pairs, with its 95 % interval. */
export interface Ratio {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** Distance of the ends of a 95 % interval from the median, in ranks, over the root of the number of values. */
const RANKS = 0.98

/** Returns the ratio of `pairs`; the interval is that of order statistics, which assumes nothing of the noise. */
export function ratioOf({ first, second }: Pairs): Ratio {
  const ratios = second.map((value, index) => value / (first[index] as number)).sort((a, b) => a - b)
  const last = ratios.length - 1
  const distance = RANKS * Math.sqrt(ratios.length)
  return {
    median: median(ratios),
    low: ratios[Math.max(0, Math.floor(last / 2 - distance))] as number,
    high: ratios[Math.min(last, Math.ceil(last / 2 + distance))] as number,
  }
}
