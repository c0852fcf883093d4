import { expect, test } from 'vitest'
import { AnswerCredit } from '../../src/memory/answer-credit.js'
import { readMemory } from '../../src/platform/process-memory.js'

const MIB = 2 ** 20

function answerOf(bytes: number): Float32Array {
  return new Float32Array(bytes / 4)
}

test('what is held is given up for the answers that come, and taken anew when it is used up', () => {
  const credit = new AnswerCredit(12 * MIB)
  credit.join()
  credit.count(answerOf(3 * MIB))
  expect(credit.heldBytes).toBe(0)
  credit.count(answerOf(MIB))
  expect(credit.heldBytes).toBe(8 * MIB)
  credit.count(answerOf(5 * MIB))
  expect(credit.heldBytes).toBe(4 * MIB)
  credit.count(answerOf(3 * MIB))
  expect(credit.heldBytes).toBe(0)
  credit.count(answerOf(400 * MIB))
  expect(credit.heldBytes).toBe(0)
  credit.leave()
})

test('nothing is held while there is no user, nor after the last one has left', () => {
  const credit = new AnswerCredit(64 * MIB)
  const before = process.memoryUsage().arrayBuffers
  credit.count(answerOf(8 * MIB))
  expect(credit.heldBytes).toBe(0)
  credit.join()
  credit.join()
  credit.count(answerOf(4 * MIB))
  expect(credit.heldBytes).toBe(60 * MIB)
  credit.leave()
  expect(credit.heldBytes).toBe(60 * MIB)
  credit.leave()
  expect(credit.heldBytes).toBe(0)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * MIB)
})

test('text takes no part', () => {
  const credit = new AnswerCredit(64 * MIB)
  credit.join()
  credit.count(['x'.repeat(8 * MIB)])
  expect(credit.heldBytes).toBe(0)
  credit.leave()
})

test('what is held is no resident memory', async () => {
  const credit = new AnswerCredit(1_024 * MIB)
  credit.join()
  const answer = answerOf(4 * MIB)
  const before = await readMemory()
  credit.count(answer)
  const after = await readMemory()
  expect(credit.heldBytes).toBe(1_020 * MIB)
  expect(after.pssBytes - before.pssBytes).toBeLessThan(64 * MIB)
  credit.leave()
})
