import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

const PROBE_MS = 250
const POLL_MS = 1_000
/** Share of all cores that a quiet machine gives the probe. */
const QUIET_SHARE = 0.9

const SPIN = `const end = performance.now() + ${2 * PROBE_MS}; while (performance.now() < end);`

/**
 * Resolves with true if no other process keeps the machine busy: one thread per core spins for a while, and
 * the processor time of these threads is compared with the elapsed time.
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

/** Waits at most `patienceMs` for a quiet machine; resolves with true if it is quiet. */
export async function waitForQuiet(patienceMs: number): Promise<boolean> {
  const endsAt = performance.now() + patienceMs
  while (!(await isQuiet())) {
    if (performance.now() >= endsAt) return false
    await sleep(POLL_MS)
  }
  return true
}
