import type { Runtime } from 'tbcoin-engine'
import { fulfil } from '../../harness/child.js'
import { median } from '../../harness/latency.js'

export interface TrackingOrder {
  /** What the runtime is imported from. */
  readonly library: string
  readonly requests: number
  readonly rounds: number
}

/** Measures what a request of the application costs from `begin` to `complete`, in microseconds: the median of rounds. */
fulfil<TrackingOrder, number>(async ({ library, requests, rounds }) => {
  const { createRuntime } = (await import(library)) as typeof import('tbcoin-engine')
  await using runtime = await createRuntime({ logLevel: 'warn' })
  // Two rounds more, for the compiler.
  const costs = Array.from({ length: rounds + 2 }, () => costUs(runtime, requests))
  return median(costs.slice(2))
})

function costUs({ requests: tracker }: Runtime, requests: number): number {
  const before = process.cpuUsage()
  for (let index = 0; index < requests; index += 1) tracker.begin('work').complete()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}
