import { setTimeout as sleep } from 'node:timers/promises'

const SLICE_MS = 500
const SLICES = 3
/** Largest deviation of one slice from the mean of the last slices. */
const TOLERANCE = 0.05
/** Slices with few requests differ by chance: allows this multiple of the square root of their number. */
const CHANCE = 3
const MAX_EXTRA_MS = 5_000

/** Waits for `minMs`, then until the rate is stable over three half seconds, for at most 5 s more. */
export async function warmUp(completed: () => number, minMs: number): Promise<void> {
  await sleep(minMs)
  const endsAt = performance.now() + MAX_EXTRA_MS
  const slices: number[] = []
  let before = completed()
  while (performance.now() < endsAt && !isStable(slices)) {
    await sleep(SLICE_MS)
    slices.push(completed() - before)
    before = completed()
    if (slices.length > SLICES) slices.shift()
  }
}

function isStable(slices: readonly number[]): boolean {
  if (slices.length < SLICES) return false
  const mean = slices.reduce((sum, count) => sum + count, 0) / SLICES
  const allowed = Math.max(TOLERANCE * mean, CHANCE * Math.sqrt(mean))
  return slices.every((count) => Math.abs(count - mean) <= allowed)
}
