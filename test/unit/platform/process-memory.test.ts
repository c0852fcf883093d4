import { describe, expect, it } from 'vitest'
import { anonymousBytesOf, readMemory } from '../../../src/platform/process-memory.js'

const MIB = 2 ** 20

describe.runIf(process.platform === 'linux')('what a process holds', () => {
  it('grows with memory that it has written to, by the readings of itself and of any process', async () => {
    const [before, bytesBefore] = [await readMemory(), await anonymousBytesOf(process.pid)]
    const held = Buffer.alloc(64 * MIB, 1)
    const [after, bytesAfter] = [await readMemory(), await anonymousBytesOf(process.pid)]
    expect(held).toHaveLength(64 * MIB)
    expect(after.anonymousBytes - before.anonymousBytes).toBeGreaterThan(48 * MIB)
    expect(after.pssBytes - before.pssBytes).toBeGreaterThan(48 * MIB)
    expect(bytesAfter - bytesBefore).toBeGreaterThan(48 * MIB)
  })

  it('is nothing for a process that is not there', async () => {
    expect(await anonymousBytesOf(2 ** 30)).toBe(0)
  })
})
