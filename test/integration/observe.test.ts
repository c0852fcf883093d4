import { describe, expect, it, vi } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { runtime, start } from '../support/gated-runtime.js'
import { ask, codeOf, loadGated, yOf } from '../support/runtime-harness.js'
import { type Line, listLogger } from '../support/test-logger.js'

describe('a handle', () => {
  it('has the name, version, state and signature of its version, and predicts with it', async () => {
    await using repository = tempRepository({
      m: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
    })
    await start({ modelDir: repository.dir })
    const active = runtime.models.getModel('m')
    expect(active).toMatchObject({ name: 'm', version: '2', state: 'running' })
    expect(active?.signature).toEqual({
      inputs: [{ name: 'x', type: 'float32', dims: [1] }],
      outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    })
    const cold = runtime.models.getModel('m', '1')
    expect(cold).toMatchObject({ version: '1', state: 'uninitialized', signature: undefined })
    expect(yOf(await (cold as NonNullable<typeof cold>).predict({ x: 1 }))).toBe(2)
    expect(cold?.state).toBe('ready')
    expect(yOf(await (active as NonNullable<typeof active>).predict({ x: 1 }, { outputs: ['y'] }))).toBe(3)
  })
})

describe('replicas()', () => {
  it('reports what every thread says of itself', async () => {
    await start({ replicas: 2 })
    const handle = await loadGated(runtime, '1')
    await Promise.all([ask(runtime, 1), ask(runtime, 2), ask(runtime, 3)])
    const reports = await handle.replicas()
    expect(reports).toHaveLength(2)
    expect(new Set(reports.map(({ threadId }) => threadId)).size).toBe(2)
    for (const { threadId, description, stats } of reports) {
      expect(description).toMatchObject({
        threadId,
        model: 'gated',
        version: '1',
        nodeVersion: process.version,
      })
      expect(stats?.heapUsedBytes).toBeGreaterThan(0)
    }
    expect(reports.reduce((sum, { stats }) => sum + (stats?.runs ?? 0), 0)).toBe(3)
  })
})

describe('the log lines of a replica', () => {
  it('reach the logger of the application with their model', async () => {
    const lines: Line[] = []
    await start({ logger: listLogger(lines), logLevel: 'info' })
    await loadGated(runtime, '1')
    await ask(runtime, 1, 'log')
    const logged = () => lines.filter((line) => line.message.startsWith('a '))
    // Lines arrive beside the outputs, not with them.
    await vi.waitFor(() => expect(logged().map((line) => line.level)).toEqual(['info', 'warn', 'error']))
    for (const line of logged()) expect(line.fields).toMatchObject({ model: 'gated', version: '1', n: 1 })
  })

  it('follow setLogLevel', async () => {
    const lines: Line[] = []
    await start({ logger: listLogger(lines), logLevel: 'info' })
    const handle = await loadGated(runtime, '1')
    await runtime.models.setLogLevel('error')
    await ask(runtime, 1, 'log')
    await runtime.models.setLogLevel('debug')
    await ask(runtime, 1, 'log')
    const levels = () => lines.filter((line) => line.message.startsWith('a ')).map((line) => line.level)
    await vi.waitFor(() => expect(levels()).toEqual(['error', 'debug', 'info', 'warn', 'error']))
    expect((await handle.replicas())[0]?.description?.logLevel).toBe('debug')
  })

  it('follow setLogLevel too when the replica is started later', async () => {
    await start({ restartBackoffMs: 1 })
    const handle = await loadGated(runtime, '1')
    await runtime.models.setLogLevel('debug')
    await codeOf(ask(runtime, 1, 'exit'))
    await ask(runtime, 1)
    expect((await handle.replicas())[0]?.description?.logLevel).toBe('debug')
    const later = await loadGated(runtime, '2')
    await later.predict({ x: 1, do: '' })
    expect((await later.replicas())[0]?.description?.logLevel).toBe('debug')
  })
})
