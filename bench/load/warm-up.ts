import { setTimeout as sleep } from 'node:timers/promises'

const SLICE_MS = 500
const SLICES = 3
/** From their mean, of the last slices. */
const TOLERANCE = 0.05
/** Slices of few answers differ by chance: by so many times the root of how many they are. */
const CHANCE = 3
const MAX_EXTRA_MS = 5_000

/** Waits for that time, and until as much is answered in one half second as in the two before, 5 s more at most. */
export async function warmUp(answered: () => number, minMs: number): Promise<void> {
  await sleep(minMs)
  const endsAt = performance.now() + MAX_EXTRA_MS
  const slices: number[] = []
  let before = answered()
  while (performance.now() < endsAt && !isStable(slices)) {
    await sleep(SLICE_MS)
    slices.push(answered() - before)
    before = answered()
    if (slices.length > SLICES) slices.shift()
  }
}

function isStable(slices: readonly number[]): boolean {
  if (slices.length < SLICES) return false
  const mean = slices.reduce((sum, count) => sum + count, 0) / SLICES
  const allowed = Math.max(TOLERANCE * mean, CHANCE * Math.sqrt(mean))
  return slices.every((count) => Math.abs(count - mean) <= allowed)
}
