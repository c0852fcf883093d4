import { afterAll, describe, expect, it } from 'vitest'
import { loop, tripsPerMs } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { abortMarks, messageOf, runChild, tries } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const input = { source: repository.path('loop', '1'), trips: tripsPerMs * 5 }
const moments = Array.from({ length: tries }, (_, i) => i * 150)

describe('a host that serves, swaps, unloads and evicts without a pause', () => {
  it.each(moments)('ends with code 3 at process.exit(3) after %i ms', async (afterMs) => {
    const child = await runChild('end-while-churning.mjs', { input: { ...input, afterMs, end: 'exit' } })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
    expect(messageOf(child, 'ending').rejected).toEqual({})
  })

  it.each(moments)('ends with code 1 at an uncaught exception after %i ms', async (afterMs) => {
    const child = await runChild('end-while-churning.mjs', { input: { ...input, afterMs, end: 'throw' } })
    expect(child).toMatchObject({ code: 1, signal: null })
    expect(child.stderr).toContain('Error: thrown by the host')
    expect(child.stderr).not.toMatch(abortMarks)
    expect(messageOf(child, 'ending').rejected).toEqual({})
  })
})
