import { afterAll, describe, expect, it } from 'vitest'
import { loop, tripsPerMs } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { abortMarks, type ChildResult, messageOf, runChild, startChild, tries } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const replicas = 2
const input = {
  models: [{ name: 'loop', version: '1', source: repository.path('loop', '1') }],
  replicas,
  trips: tripsPerMs * 60,
}
const answered = { submitted: replicas * 2, answered: replicas * 2, rejected: {} }
const repeats = { repeats: tries - 1 }

function statesOf(child: ChildResult): string[] {
  return child.messages.filter(({ kind }) => kind === 'state').map(({ to, trigger }) => `${to} (${trigger})`)
}

async function signalled(signals: NodeJS.Signals[], more: object = {}): Promise<ChildResult> {
  const child = startChild('managed.mjs', { input: { ...input, ...more } })
  await child.message('ready')
  for (const signal of signals) child.kill(signal)
  return child.result
}

describe('a manager that handles signals, while every replica is inside a run,', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    'completes all requests at %s and ends the process with code 0',
    repeats,
    async (signal) => {
      const child = await signalled([signal])
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
      expect(messageOf(child, 'books')).toMatchObject(answered)
      expect(statesOf(child).slice(-2)).toEqual([`stopping (${signal})`, `stopped (${signal})`])
    },
  )

  it('ends the process with code 1 when a shutdown handler fails', repeats, async () => {
    const child = await signalled(['SIGTERM'], { shutdown: 'fails' })
    expect(child).toMatchObject({ code: 1, signal: null })
    expect(child.stderr).not.toMatch(abortMarks)
    expect(statesOf(child).at(-1)).toBe('error (SIGTERM)')
  })

  it('ends the process with code 1 when the shutdown budget is over', repeats, async () => {
    const child = await signalled(['SIGTERM'], { shutdown: 'hangs', gracefulShutdownTimeoutMs: 300 })
    expect(child).toMatchObject({ code: 1, signal: null, isOverdue: false })
    expect(child.stderr).not.toMatch(abortMarks)
    expect(statesOf(child).at(-1)).toBe('error (SIGTERM)')
  })

  it.each([
    ['SIGINT, SIGTERM', ['SIGINT', 'SIGTERM']],
    ['SIGTERM, SIGINT', ['SIGTERM', 'SIGINT']],
    ['SIGINT, SIGINT, SIGTERM', ['SIGINT', 'SIGINT', 'SIGTERM']],
    ['SIGHUP, SIGTERM', ['SIGHUP', 'SIGTERM']],
  ] as const)(
    'treats %s in quick succession as one signal, and completes all requests',
    repeats,
    async (_, signals) => {
      const child = startChild('managed.mjs', { input })
      await child.message('ready')
      const [first, ...repeated] = signals
      child.kill(first)
      await child.message('state', ({ to }) => to === 'stopping')
      for (const signal of repeated) child.kill(signal)
      const result = await child.result
      expect(result).toMatchObject({ code: 0, signal: null, stderr: '' })
      expect(messageOf(result, 'books')).toMatchObject(answered)
      expect(statesOf(result).slice(-2)).toEqual([`stopping (${first})`, `stopped (${first})`])
    },
  )

  it.each([
    ['SIGINT after the time in which repeats are ignored', 'late', 'SIGINT'],
    ['SIGTERM after the time in which repeats are ignored', 'late', 'SIGTERM'],
    ['SIGQUIT, even immediately', 'state', 'SIGQUIT'],
  ] as const)(
    'ends the process at once, with code 1, at a second signal: %s',
    repeats,
    async (_, kind, signal) => {
      const child = startChild('managed.mjs', {
        input: { ...input, shutdown: 'hangs', gracefulShutdownTimeoutMs: 60_000 },
      })
      await child.message('ready')
      child.kill('SIGTERM')
      await child.message(kind, ({ to }) => kind === 'late' || to === 'stopping')
      child.kill(signal)
      const result = await child.result
      expect(result).toMatchObject({ code: 1, signal: null, isOverdue: false })
      expect(result.stderr).not.toMatch(abortMarks)
      expect(result.endingMs).toBeLessThan(10_000)
    },
  )

  it.each([
    ['an uncaught exception', 'throw'],
    ['an unhandled rejection', 'reject'],
    ['a rejection with undefined', 'rejectNothing'],
  ])('shuts down at %s and ends the process with code 1', repeats, async (_, end) => {
    const child = await runChild('managed.mjs', { input: { ...input, end } })
    expect(child).toMatchObject({ code: 1, signal: null })
    expect(child.stderr).not.toMatch(abortMarks)
    expect(messageOf(child, 'books')).toMatchObject(answered)
    expect(statesOf(child).at(-1)).toBe('stopped (uncaught error)')
  })

  it('undoes a startup in progress and ends the process with code 0', repeats, async () => {
    const child = startChild('stop-while-starting.mjs', { input: {} })
    await child.message('starting')
    child.kill('SIGTERM')
    const result = await child.result
    expect(result).toMatchObject({ code: 0, signal: null })
    expect(result.messages.map(({ kind }) => kind)).toEqual([
      'done',
      'starting',
      'told',
      'undone',
      'rejected',
    ])
  })

  it('reports a crash even if its log is silent', async () => {
    const child = await runChild('managed.mjs', { input: { ...input, end: 'throw' } })
    expect(child.stderr).toContain('Error: thrown by the host')
  })

  it.each([
    ['its own code', 3],
    ['code 0', undefined],
  ])('shuts down a process that has no work left, which ends with %s', repeats, async (_, exitCode) => {
    const child = await runChild('managed.mjs', { input: { ...input, end: 'natural', exitCode } })
    expect(child).toMatchObject({ code: exitCode ?? 0, signal: null, stderr: '' })
    expect(messageOf(child, 'books')).toMatchObject(answered)
    expect(statesOf(child).at(-1)).toBe('stopped (nothing left to do)')
  })

  it('does not intercept process.exit', repeats, async () => {
    const child = await runChild('managed.mjs', { input: { ...input, end: 'exit' } })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
    expect(statesOf(child).at(-1)).toBe('running (startup)')
  })
})

describe('a runtime that handles signals, under load', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'completes at %s all requests that it has accepted, and ends with code 0',
    repeats,
    async (signal) => {
      const child = startChild('serve-until-signal.mjs', {
        input: { models: input.models, callers: 32, trips: tripsPerMs },
      })
      await child.message('ready')
      child.kill(signal)
      const result = await child.result
      expect(result).toMatchObject({ code: 0, signal: null, stderr: '' })
      const books = messageOf(result, 'books') as unknown as { submitted: number; answered: number }
      expect(books.submitted).toBeGreaterThanOrEqual(32 * 4)
      expect(books.answered).toBe(books.submitted)
      expect(messageOf(result, 'closed')).toMatchObject({ rejected: 0, stuck: [], failures: [] })
    },
  )
})

describe('a runtime that handles signals, while it loads its models,', () => {
  it('starts no further load at SIGTERM, and ends with code 0', repeats, async () => {
    const child = startChild('stop-while-loading.mjs')
    await child.message('loading')
    child.kill('SIGTERM')
    const result = await child.result
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' })
    const ready = result.messages.filter(({ kind }) => kind === 'ready')
    expect(ready.length).toBeLessThanOrEqual(2)
    expect(messageOf(result, 'rejected')).toMatchObject({ code: 'ERR_STARTUP' })
  })
})

describe('a native fault in a process whose manager handles signals', () => {
  it.each(['main', 'replica'])('on thread %s kills the process within a second', repeats, async (where) => {
    const child = await runChild('native-fault.mjs', { input: { where } })
    // A shell reports this as 139.
    expect(child).toMatchObject({ code: null, signal: 'SIGSEGV', isOverdue: false })
    expect(child.endingMs).toBeLessThan(1_000)
  })
})
