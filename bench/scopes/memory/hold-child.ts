import { setTimeout as sleep } from 'node:timers/promises'
import { type MemoryReading, readMemory } from '../../../examples/speech/memory.js'
import { runOrder } from '../../harness/child.js'
import { type ModelKeeper, makeKeeper } from './keepers.js'
import type { HoldOrder, HoldOutcome } from './order.js'

const REQUESTS_PER_REPLICA = 4
const SETTLE_MS = 1_000

/** Loads a model, runs every replica and unloads it, again and again. */
runOrder<HoldOrder, HoldOutcome>(async (order) => {
  const keeper = await makeKeeper[order.keeper](order.cacheDir)
  const { anonymousBytes: anonymousBytesAtStart } = await readMemory()
  // This round makes the one-time allocations: libraries, the first growth of the heap.
  const { readyMs: firstReadyMs } = await round(keeper, order)
  await sleep(SETTLE_MS)
  const { privateBytes: privateBytesBefore } = await readMemory()
  const readyMs: number[] = []
  const after: MemoryReading[] = []
  let heldPssBytes = 0
  for (let index = 0; index < order.rounds; index += 1) {
    const held = await round(keeper, order)
    readyMs.push(held.readyMs)
    if (index === 0) heldPssBytes = held.pssBytes
    await sleep(SETTLE_MS)
    after.push(await readMemory())
  }
  await keeper.close()
  return {
    firstReadyMs,
    readyMs,
    heldPssBytes,
    anonymousBytesAtStart,
    anonymousBytesAtEnd: after.at(-1)?.anonymousBytes ?? Number.NaN,
    privateBytesBefore,
    privateBytesAfter: after.map(({ privateBytes }) => privateBytes),
  }
})

async function round(
  keeper: ModelKeeper,
  { source, replicas, input }: HoldOrder,
): Promise<{ readyMs: number; pssBytes: number }> {
  const startedAt = performance.now()
  await keeper.load(source, replicas)
  const readyMs = performance.now() - startedAt
  // One request per replica at a time, so that every replica runs.
  for (let turn = 0; turn < REQUESTS_PER_REPLICA; turn += 1) {
    await Promise.all(Array.from({ length: replicas }, () => keeper.predict(input)))
  }
  const { pssBytes } = await readMemory()
  await keeper.unload()
  return { readyMs, pssBytes }
}
