import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

const PROBE_MS = 250
const POLL_MS = 1_000
/** Of all cores, for the machine to be ours. */
const QUIET_SHARE = 0.9

const SPIN = `const end = performance.now() + ${2 * PROBE_MS}; while (performance.now() < end);`

/**
 * Whether nobody else keeps the machine busy: as many threads as there are cores spin for
 * a while, and the processor time they get is compared with the time that passes.
 */
export async function isQuiet(): Promise<boolean> {
  const cores = availableParallelism()
  const spinners = Array.from({ length: cores }, () => new Worker(SPIN, { eval: true }))
  const exits = spinners.map((spinner) => once(spinner, 'exit'))
  await Promise.all(spinners.map((spinner) => once(spinner, 'online')))
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await sleep(PROBE_MS)
  const { user, system } = process.cpuUsage(before)
  const share = (user + system) / 1_000 / (performance.now() - startedAt) / cores
  await Promise.all(exits)
  return share >= QUIET_SHARE
}

/** Waits for a quiet machine, but not longer than `patienceMs`; tells whether it has become one. */
export async function waitForQuiet(patienceMs: number): Promise<boolean> {
  const endsAt = performance.now() + patienceMs
  while (!(await isQuiet())) {
    if (performance.now() >= endsAt) return false
    await sleep(POLL_MS)
  }
  return true
}
