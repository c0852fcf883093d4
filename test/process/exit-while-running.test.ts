import { afterAll, describe, expect, it } from 'vitest'
import { loop, tripsPerMs } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { abortMarks, messageOf, runChild, startChild, tries } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const replicas = 3
const input = {
  models: [{ name: 'loop', version: '1', source: repository.path('loop', '1') }],
  replicas,
  trips: tripsPerMs * 60,
  moment: 'native',
}
const repeats = { repeats: tries - 1 }

describe('a host that ends while every replica is inside a run', () => {
  it('with process.exit(3) ends with code 3', repeats, async () => {
    const child = await runChild('end-while-running.mjs', { input: { ...input, end: 'exit' } })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
    expect(messageOf(child, 'ending')).toMatchObject({ insideNative: replicas })
  })

  it('with process.exit(3) right after a close() ends with code 3', repeats, async () => {
    const child = await runChild('end-while-running.mjs', {
      input: { ...input, end: 'exit', isClosing: true },
    })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
  })

  it.each([
    ['an uncaught exception', 'throw', 'Error: thrown by the host'],
    ['an unhandled rejection', 'reject', 'Error: rejected by the host'],
  ])('with %s ends with code 1 and that error', repeats, async (_, end, reason) => {
    const child = await runChild('end-while-running.mjs', { input: { ...input, end } })
    expect(child).toMatchObject({ code: 1, signal: null })
    expect(child.stderr).toContain(reason)
    expect(child.stderr).not.toMatch(abortMarks)
    expect(messageOf(child, 'ending')).toMatchObject({ insideNative: replicas })
  })

  it.each([
    ['without a close', 'natural', 0],
    ['with process.exitCode set to 3', 'exitCode', 3],
  ])('with no work left, %s, completes all requests first', repeats, async (_, end, code) => {
    const child = await runChild('end-while-running.mjs', { input: { ...input, end } })
    expect(child).toMatchObject({ code, signal: null, stderr: '' })
    const all = replicas * 2
    expect(messageOf(child, 'settled')).toMatchObject({ submitted: all, answered: all, rejected: {} })
  })
})

describe('a host that ends the process in its own exit listener', () => {
  it('ends with the code of that listener', repeats, async () => {
    const child = await runChild('end-while-running.mjs', {
      input: { ...input, exitsAgain: true, end: 'exit' },
    })
    expect(child).toMatchObject({ code: 8, signal: null, stderr: '' })
  })

  it.each(['exit', 'natural'])(
    'called before that of the runtime, at %s, ends with the code of that listener',
    repeats,
    async (end) => {
      const child = await runChild('end-while-running.mjs', { input: { ...input, exitsFirst: true, end } })
      expect(child).toMatchObject({ code: 9, signal: null, stderr: '' })
    },
  )

  it.each([
    ['process.exit(3)', 'exit', 3],
    ['an uncaught exception', 'throw', 1],
  ])(
    'that throws before that of the runtime, at %s, ends without an abort',
    repeats,
    async (_, end, code) => {
      const child = await runChild('end-while-running.mjs', { input: { ...input, throwsFirst: true, end } })
      expect(child).toMatchObject({ code, signal: null })
      expect(child.stderr).toMatch(/Error: thrown by (an exit listener|the host)/)
      expect(child.stderr).not.toMatch(abortMarks)
    },
  )
})

describe('a host that is killed while every replica is inside a run', () => {
  it('by SIGTERM without a handler dies of SIGTERM', repeats, async () => {
    const child = startChild('end-while-running.mjs', { input: { ...input, end: 'natural' } })
    await child.message('ending')
    child.kill('SIGTERM')
    expect(await child.result).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' })
  })
})

describe('a host that ends as soon as it has sent requests', () => {
  it('ends with its own exit code', repeats, async () => {
    const child = await runChild('end-while-running.mjs', {
      input: { ...input, moment: 'dispatched', end: 'exit' },
    })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
  })
})
