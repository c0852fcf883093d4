import { expect, test } from 'vitest'
import { GcBallast } from '../../../src/memory/gc-ballast.js'
import { readMemory } from '../../../src/platform/process-memory.js'

const MIB = 2 ** 20

function answerOf(bytes: number): Float32Array {
  return new Float32Array(bytes / 4)
}

test('the ballast shrinks by the size of each delivered output, and is allocated again once it is used up', () => {
  const ballast = new GcBallast(12 * MIB)
  ballast.join()
  ballast.count(answerOf(3 * MIB))
  expect(ballast.heldBytes).toBe(0)
  ballast.count(answerOf(MIB))
  expect(ballast.heldBytes).toBe(8 * MIB)
  ballast.count(answerOf(5 * MIB))
  expect(ballast.heldBytes).toBe(4 * MIB)
  ballast.count(answerOf(3 * MIB))
  expect(ballast.heldBytes).toBe(0)
  ballast.count(answerOf(400 * MIB))
  expect(ballast.heldBytes).toBe(0)
  ballast.leave()
})

test('no ballast is held without a user', () => {
  const ballast = new GcBallast(64 * MIB)
  const before = process.memoryUsage().arrayBuffers
  ballast.count(answerOf(8 * MIB))
  expect(ballast.heldBytes).toBe(0)
  ballast.join()
  ballast.join()
  ballast.count(answerOf(4 * MIB))
  expect(ballast.heldBytes).toBe(60 * MIB)
  ballast.leave()
  expect(ballast.heldBytes).toBe(60 * MIB)
  ballast.leave()
  expect(ballast.heldBytes).toBe(0)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * MIB)
})

test('string outputs do not release ballast', () => {
  const ballast = new GcBallast(64 * MIB)
  ballast.join()
  ballast.count(['x'.repeat(8 * MIB)])
  expect(ballast.heldBytes).toBe(0)
  ballast.leave()
})

test('the ballast does not add to resident memory', async () => {
  const ballast = new GcBallast(1_024 * MIB)
  ballast.join()
  const answer = answerOf(4 * MIB)
  const before = await readMemory()
  ballast.count(answer)
  const after = await readMemory()
  expect(ballast.heldBytes).toBe(1_020 * MIB)
  expect(after.pssBytes - before.pssBytes).toBeLessThan(64 * MIB)
  ballast.leave()
})
