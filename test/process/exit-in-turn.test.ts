import { describe, expect, it } from 'vitest'
import { runChild, tries } from '../support/run-child.js'

const repeats = { repeats: tries - 1 }

describe('a host that ends while one replica has the turn and another waits for it', () => {
  it('ends with its own exit code once the run has returned', repeats, async () => {
    const child = await runChild('takes-turns.mjs', { input: { isReturning: true } })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '', isOverdue: false })
  })

  it(
    'waits no longer than exitWaitMs for a run that does not return, and names only that replica',
    repeats,
    async () => {
      const child = await runChild('takes-turns.mjs', { input: { isReturning: false } })
      expect(child).toMatchObject({ code: 3, signal: null, isOverdue: false })
      expect(child.stderr).toMatch(
        /^tbcoin-engine: exit with code 3 without waiting longer: holder@1 has been running for \d+\.\d s\n$/,
      )
    },
  )
})
