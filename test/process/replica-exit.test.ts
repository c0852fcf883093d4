import { describe, expect, it } from 'vitest'
import { fixturePath, messageOf, runChild, tries } from '../support/run-child.js'

const crashBudget = 4

describe('a replica that dies in a run', () => {
  it.each([
    ['by process.exit', -1],
    ['by process.exit in a native call', -2],
    ['by an uncaught exception', -3],
    ['by an uncaught exception in a native call', -4],
    ['by an unhandled rejection', -5],
  ])(
    '%s is replaced until the crash budget of its version is spent',
    { repeats: tries - 1 },
    async (_, poison) => {
      const input = { loader: fixturePath('exits-in-run.mjs'), crashBudget, poison }
      const child = await runChild('lose-replicas.mjs', { input })
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })

      const replaced = messageOf(child, 'replaced')
      expect(replaced.first).toMatchObject({ code: 'ERR_REPLICA_EXITED', retryable: true, model: 'm' })
      expect(replaced.others).toEqual(Array(8).fill('ok'))
      expect(replaced.pool).toMatchObject({ replicas: 2, idle: 2, restarts: 1 })
      const [before, after] = [replaced.before as number[], replaced.after as number[]]
      expect(after.filter((thread) => before.includes(thread))).toHaveLength(1)

      const broken = messageOf(child, 'broken')
      expect(broken.state).toBe('error')
      const open = { code: 'ERR_MODEL_UNAVAILABLE', cause: { code: 'ERR_CIRCUIT_OPEN' } }
      expect(broken).toMatchObject({ last: open, named: open })
      const expected = ['ok', 'ERR_REPLICA_EXITED', 'ERR_CIRCUIT_OPEN', 'ERR_MODEL_UNAVAILABLE']
      expect((broken.codes as string[]).filter((code) => !expected.includes(code))).toEqual([])
      const exits = broken.exits as { code: string; restartInMs?: number }[]
      expect(exits.filter(({ restartInMs }) => restartInMs !== undefined)).toHaveLength(crashBudget)
      expect(exits.at(-1)).toEqual({ code: 'ERR_REPLICA_EXITED' })
    },
  )

  it('in a native call does not delay the exit of its host', { repeats: tries - 1 }, async () => {
    const input = { loader: fixturePath('exits-in-run.mjs'), exitWaitMs: 20_000 }
    const child = await runChild('die-in-native.mjs', { input })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
    expect(messageOf(child, 'ending')).toMatchObject({ insideNative: 0 })
    expect(child.endingMs).toBeLessThan(10_000)
  })
})
