import { describe, expect, it } from 'vitest'
import { anonymousBytesOf, readMemory } from '../../../src/platform/process-memory.js'

const MIB = 2 ** 20

describe.runIf(process.platform === 'linux')('the resident memory of a process', () => {
  it('grows with memory that the process writes to, as read by itself and by other processes', async () => {
    const [before, bytesBefore] = [await readMemory(), await anonymousBytesOf(process.pid)]
    const held = Buffer.alloc(64 * MIB, 1)
    const [after, bytesAfter] = [await readMemory(), await anonymousBytesOf(process.pid)]
    expect(held).toHaveLength(64 * MIB)
    expect(after.anonymousBytes - before.anonymousBytes).toBeGreaterThan(48 * MIB)
    expect(after.pssBytes - before.pssBytes).toBeGreaterThan(48 * MIB)
    expect(bytesAfter - bytesBefore).toBeGreaterThan(48 * MIB)
  })

  it('is undefined for a process that does not exist', async () => {
    expect(await anonymousBytesOf(2 ** 30)).toBe(0)
  })
})
