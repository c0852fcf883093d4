import { expect, test } from 'vitest'
import { GcBallast } from '../../../src/memory/gc-ballast.js'
import { readMemory } from '../../../src/platform/process-memory.js'

const MIB = 2 ** 20

function answerOf(bytes: number): Float32Array {
  return new Float32Array(bytes / 4)
}

test('what is held is given up for the answers that come, and taken anew when it is used up', () => {
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

test('nothing is held while there is no user, nor after the last one has left', () => {
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

test('text takes no part', () => {
  const ballast = new GcBallast(64 * MIB)
  ballast.join()
  ballast.count(['x'.repeat(8 * MIB)])
  expect(ballast.heldBytes).toBe(0)
  ballast.leave()
})

test('what is held is no resident memory', async () => {
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
