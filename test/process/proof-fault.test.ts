import { expect, it } from 'vitest'
import { integerQuotient } from '../../models/synthetic/fault-graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { messageOf, runChild } from '../support/run-child.js'

// The input is cast to the smallest integer, which requests divide by 1, and made-up rows of a proof by -1.
const OVERFLOW = 3e9

it.each([
  ['in a separate process, which crashes', {}, 'refused', /separate process.*died of SIGFPE/],
  ['with sent requests only where there is no such process', { probe: 'off' }, 'proven', undefined],
] as const)(
  'a batch proof runs %s',
  async (_, config, state, reason) => {
    using cache = tempFolder()
    using repository = tempRepository({ quotient: { '1': integerQuotient() } })
    const source = repository.path('quotient', '1')
    const input = { source, cacheDir: cache.path, config, dividend: OVERFLOW, count: 20 }
    const child = await runChild('prove-beside-faults.mjs', { input, limitMs: 120_000 })
    expect(child).toMatchObject({ code: 0, signal: null })
    const { answers, batching } = messageOf(child, 'done')
    expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? -(2 ** 31) : index)))
    expect(batching).toMatchObject({ state })
    if (reason !== undefined) expect(batching).toMatchObject({ reason: expect.stringMatching(reason) })
  },
  150_000,
)
