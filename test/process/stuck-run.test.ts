import { afterAll, describe, expect, it } from 'vitest'
import { endlessTrips, loop } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import {
  abortMarks,
  type ChildResult,
  fixturePath,
  messageOf,
  runChild,
  tries,
} from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const source = repository.path('loop', '1')
const exitWaitMs = 500
const input = {
  models: [{ name: 'loop', version: '1', source, config: { drainTimeoutMs: 200 } }],
  next: { name: 'loop', newVersion: '2', source },
  exitWaitMs,
  stuckAfterMs: 0,
  trips: 1000,
  endlessTrips: String(endlessTrips),
}
const repeats = { repeats: tries - 1 }

function stuckLine(code: number): string {
  return `tbcoin-engine: exit with code ${code} without waiting longer: loop@1 has been running for `
}

/** Checks that the child ended in time and printed only one line. */
function expectBoundedEnd(child: ChildResult, code: number): void {
  expect(child.stderr).toContain(stuckLine(code))
  expect(child.stderr).toMatch(/^[^\n]+ for \d+\.\d s\n$/)
  expect(child.endingMs).toBeLessThan(exitWaitMs + 1_000)
  expect(child.isOverdue).toBe(false)
}

describe('a run that never returns', () => {
  it('delays process.exit(3) no longer than exitWaitMs', repeats, async () => {
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'exit' } })
    expect(child).toMatchObject({ code: 3, signal: null })
    expectBoundedEnd(child, 3)
  })

  it('delays an exit listener of the host with another code no longer either', repeats, async () => {
    const child = await runChild('stuck.mjs', { input: { ...input, exitsAgain: true, action: 'exit' } })
    expect(child).toMatchObject({ code: 8, signal: null })
    expectBoundedEnd(child, 8)
  })

  it('ends in SIGKILL at process.exit(3) without koffi', repeats, async () => {
    const execArgv = ['--require', fixturePath('no-koffi.cjs')]
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'exit' }, execArgv })
    expect(child).toMatchObject({ code: null, signal: 'SIGKILL' })
    expectBoundedEnd(child, 3)
  })

  it('does not hide the uncaught exception that ends the host', repeats, async () => {
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'throw' } })
    expect(child).toMatchObject({ code: 1, signal: null, isOverdue: false })
    expect(child.stderr).toContain(stuckLine(1))
    expect(child.stderr).toContain('Error: thrown by the host')
    expect(child.stderr).not.toMatch(abortMarks)
  })

  it('is reported by a close that does not wait for it, and the host ends with code 0', repeats, async () => {
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'close' } })
    expect(child).toMatchObject({ code: 0, signal: null })
    expectBoundedEnd(child, 0)
    const { closing, caller } = messageOf(child, 'ending') as Record<string, { durationMs?: number }>
    expect(caller).toMatchObject({ code: 'ERR_RUNTIME_CLOSED', model: 'loop' })
    expect(closing).toMatchObject({ rejected: 1, stuck: [{ model: 'loop', version: '1' }] })
    expect(closing?.durationMs).toBeGreaterThanOrEqual(290)
    expect(closing?.durationMs).toBeLessThan(1_500)
  })

  it('is quarantined after stuckAfterMs, and its replacement serves', repeats, async () => {
    const child = await runChild('stuck.mjs', {
      input: { ...input, stuckAfterMs: 200, action: 'quarantine' },
    })
    expect(child).toMatchObject({ code: 0, signal: null })
    expectBoundedEnd(child, 0)
    const ending = messageOf(child, 'ending')
    expect(ending).toMatchObject({
      caller: { code: 'ERR_REPLICA_STUCK', retryable: true, model: 'loop' },
      answers: ['ok', 'ok'],
      stuck: [{ model: 'loop', version: '1' }],
      pool: { replicas: 1, idle: 1, quarantined: 1, restarts: 1 },
      closing: { rejected: 0, stuck: [{ model: 'loop', version: '1' }] },
    })
  })

  it('does not block a hot swap from its version', repeats, async () => {
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'hotSwapModel' } })
    expect(child).toMatchObject({ code: 0, signal: null })
    expectBoundedEnd(child, 0)
    expect(messageOf(child, 'ending')).toMatchObject({
      swap: { from: '1', to: '2' },
      answer: 'ok',
      drained: { version: '1', rejected: 1, stuck: [{ model: 'loop', version: '1' }] },
      caller: { code: 'ERR_DRAIN_TIMEOUT', retryable: true, model: 'loop' },
      closing: { rejected: 0, stuck: [{ model: 'loop', version: '1' }] },
    })
  })
})
