import type { Runtime } from 'tbcoin-engine'
import { runOrder } from '../../harness/child.js'
import { median } from '../../harness/latency.js'

export interface TrackingOrder {
  /** Module that the runtime is imported from. */
  readonly library: string
  readonly requests: number
  readonly rounds: number
}

/** Measures the cost in microseconds of `begin` and `complete` of a tracked request; the result is the median of the rounds. */
runOrder<TrackingOrder, number>(async ({ library, requests, rounds }) => {
  const { createRuntime } = (await import(library)) as typeof import('tbcoin-engine')
  await using runtime = await createRuntime({ logLevel: 'warn' })
  // Two extra rounds, for the compiler.
  const costs = Array.from({ length: rounds + 2 }, () => costUs(runtime, requests))
  return median(costs.slice(2))
})

function costUs({ requests: tracker }: Runtime, requests: number): number {
  const before = process.cpuUsage()
  for (let index = 0; index < requests; index += 1) tracker.begin('work').complete()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}
