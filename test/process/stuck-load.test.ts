import { describe, expect, it } from 'vitest'
import { type ChildResult, messageOf, runChild, tries } from '../support/run-child.js'

const exitWaitMs = 500
const repeats = { repeats: tries - 1 }

function expectBoundedEnd(child: ChildResult, code: number): void {
  const line = `tbcoin-engine: exit with code ${code} without waiting longer: m@1 has been running for `
  expect(child).toMatchObject({ code, signal: null })
  expect(child.stderr).toContain(line)
  expect(child.stderr).toMatch(/^[^\n]+ for \d+\.\d s\n$/)
  expect(child.endingMs).toBeLessThan(exitWaitMs + 1_000)
}

describe('a load that never returns', () => {
  it('delays process.exit(3) no longer than exitWaitMs', repeats, async () => {
    const child = await runChild('stuck-load.mjs', { input: { exitWaitMs, action: 'exit' } })
    expectBoundedEnd(child, 3)
  })

  it('is abandoned after loadTimeoutMs, and the host ends with code 0', repeats, async () => {
    // The timeout leaves the thread time to reach the loader on a busy machine: a load that times out before is ended.
    const input = { exitWaitMs, loadTimeoutMs: 3_000, action: 'giveUp' }
    const child = await runChild('stuck-load.mjs', { input })
    expect(messageOf(child, 'ending')).toMatchObject({
      load: { code: 'ERR_MODEL_LOAD', model: 'm' },
      closing: { rejected: 0, stuck: [{ model: 'm', version: '1' }] },
    })
    expectBoundedEnd(child, 0)
  })

  it('is reported and settled by close, and the host ends with code 0', repeats, async () => {
    const child = await runChild('stuck-load.mjs', {
      input: { exitWaitMs, action: 'close' },
      limitMs: 10_000,
    })
    const { closing } = messageOf(child, 'closed') as unknown as { closing: { durationMs: number } }
    expect(closing).toMatchObject({ rejected: 0, stuck: [{ model: 'm', version: '1' }] })
    // The timeout is 300 ms.
    expect(closing.durationMs).toBeLessThan(900)
    expect(messageOf(child, 'ending')).toMatchObject({ load: { code: 'ERR_RUNTIME_CLOSED' } })
    expectBoundedEnd(child, 0)
  })
})
