import type { EngineEventMap, Logger } from 'tbcoin-engine'
import { describe, expect, it, vi } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { ChannelMessages } from '../support/channel-messages.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { ask, codeOf, gated, gatedLoader, loadGated, yOf } from '../support/runtime-harness.js'
import { type Line, listLogger } from '../support/test-logger.js'

describe('a handle', () => {
  it('tells name, version, state and signature, and predicts', async () => {
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

  it('of a version stays with it through a swap', async () => {
    await start({ standbyMs: 3_600_000 })
    const first = await loadGated(runtime, '1', { offset: 1 })
    await runtime.models.hotSwapModel({ ...gated({ offset: 2 }), newVersion: '2' })
    expect(first).toMatchObject({ version: '1', state: 'ready' })
    expect(yOf(await first.predict({ x: 0, do: '' }))).toBe(1)
    expect(runtime.models.getModel('gated')?.version).toBe('2')
  })

  it('of a version that was unloaded tells so and predicts no more', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await runtime.models.unloadModel('gated')
    expect(handle.state).toBe('stopped')
    expect(await codeOf(handle.predict({ x: 0, do: '' }))).toBe('ERR_MODEL_NOT_FOUND')
  })

  it('of what is not there is undefined', async () => {
    await start()
    await loadGated(runtime, '1')
    expect(runtime.models.getModel('nobody')).toBeUndefined()
    expect(runtime.models.getModel('gated', '9')).toBeUndefined()
  })

  it('refuses a version among the options of its predict', async () => {
    await start()
    const handle = await loadGated(runtime, '1', { offset: 1 })
    await loadGated(runtime, '2', { offset: 2 })
    // Not even a caller without types gets another version's answer from it.
    const answer = handle.predict({ x: 0, do: '' }, { version: '2' } as never)
    expect(await answer.then(yOf, (error) => error.code)).not.toBe(2)
  })
})

describe('stats', () => {
  it('count requests, errors and latencies, and tell who waits', async () => {
    await start()
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    expect(handle.stats()).toMatchObject({
      requests: 0,
      errors: 0,
      inFlight: 0,
      queued: 0,
      lastUsedAt: undefined,
      latency: { count: 0, meanMs: 0 },
      pool: { replicas: 1, idle: 1 },
    })
    const before = Date.now()
    const asked = [ask(runtime, 1, 'hold'), ask(runtime, 2), ask(runtime, 3, 'throw').catch(() => 0)]
    await held.arrival('run')
    expect(handle.stats()).toMatchObject({
      requests: 3,
      inFlight: 1,
      queued: 2,
      pool: { busy: 1, queued: 2 },
    })
    held.open('run')
    await Promise.all(asked)
    const { latency, lastUsedAt, ...rest } = handle.stats()
    expect(rest).toMatchObject({ requests: 3, errors: 1, inFlight: 0, queued: 0, pool: { idle: 1, busy: 0 } })
    expect(latency.count).toBe(2)
    expect(latency.p99Ms).toBeGreaterThan(0)
    expect(lastUsedAt).toBeGreaterThanOrEqual(before - 100)
    expect(lastUsedAt).toBeLessThanOrEqual(Date.now() + 100)
  })

  it('go on counting over an eviction', async () => {
    await start()
    await loadGated(runtime, '1')
    await ask(runtime, 1)
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(runtime.models.getModel('gated')?.stats()).toMatchObject({ requests: 1, pool: undefined })
    await ask(runtime, 1)
    expect(runtime.models.getModel('gated')?.stats()).toMatchObject({ requests: 2, errors: 0 })
  })

  it('count a waiting caller as queued while its version is being loaded', async () => {
    await start()
    const held = gate()
    held.open('load')
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const waiting = [ask(runtime, 1), ask(runtime, 2)]
    await held.arrival('load', 2)
    expect(handle.stats()).toMatchObject({ queued: 2, inFlight: 0, pool: { starting: 1 } })
    held.open('load')
    await Promise.all(waiting)
    expect(handle.stats()).toMatchObject({ queued: 0, inFlight: 0 })
  })

  it('of the runtime list its models', async () => {
    await start()
    await loadGated(runtime, '1')
    await loadGated(runtime, '2')
    const stats = runtime.stats()
    expect(stats.state).toBe('running')
    expect(stats.uptimeMs).toBeGreaterThan(0)
    expect(stats.models.map((one) => [one.version, one.state, one.isActive, one.modelType])).toEqual([
      ['1', 'running', true, 'gated'],
      ['2', 'ready', false, 'gated'],
    ])
    expect(() => JSON.stringify(stats)).not.toThrow()
  })
})

describe('replicas()', () => {
  it('asks every thread', async () => {
    await start({ replicas: 2 })
    const handle = await loadGated(runtime, '1')
    await Promise.all([ask(runtime, 1), ask(runtime, 2), ask(runtime, 3)])
    const reports = await handle.replicas()
    expect(reports).toHaveLength(2)
    expect(new Set(reports.map((one) => one.threadId)).size).toBe(2)
    for (const { threadId, description, stats } of reports) {
      expect(description).toMatchObject({
        threadId,
        model: 'gated',
        version: '1',
        nodeVersion: process.version,
      })
      expect(stats?.heapUsedBytes).toBeGreaterThan(0)
    }
    expect(reports.reduce((sum, one) => sum + (one.stats?.runs ?? 0), 0)).toBe(3)
  })

  it('does not wait longer than controlTimeoutMs for one that is busy', async () => {
    await start({ controlTimeoutMs: 10 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    expect(await handle.replicas()).toEqual([
      { threadId: expect.any(Number), description: undefined, stats: undefined },
    ])
    held.open('run')
    await running
  })

  it('of a cold version is empty', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(await handle.replicas()).toEqual([])
  })
})

describe('log lines', () => {
  it('of a replica reach the logger of the host with their model', async () => {
    const lines: Line[] = []
    await start({ logger: listLogger(lines), logLevel: 'info' })
    await loadGated(runtime, '1')
    await ask(runtime, 1, 'log')
    const told = () => lines.filter((line) => line.message.startsWith('a '))
    // Lines travel beside the answers, not with them.
    await vi.waitFor(() => expect(told().map((line) => line.level)).toEqual(['info', 'warn', 'error']))
    for (const line of told()) expect(line.fields).toMatchObject({ model: 'gated', version: '1', n: 1 })
  })

  it('of a replica follow setLogLevel', async () => {
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

  it('of a replica that is started later follow setLogLevel too', async () => {
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

  it('cannot be set to a level that is none', async () => {
    await start()
    await loadGated(runtime, '1')
    expect(await codeOf(runtime.models.setLogLevel('loud' as never))).toBe('ERR_INVALID_OPTIONS')
  })

  it('can be set while a replica is busy, without waiting for its run', async () => {
    await start({ controlTimeoutMs: 10 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await runtime.models.setLogLevel('warn')
    held.open('run')
    expect(await running).toBe(1)
  }, 10_000)

  it('tell every move with its trigger and cause', async () => {
    const lines: Line[] = []
    await start({ logger: listLogger(lines) })
    runtime.models.registerModelLoader('gated', gatedLoader)
    await codeOf(runtime.models.loadModel({ ...gated({ load: 'throw' }), version: '1' }))
    const moves = lines.filter((line) => line.message === 'transition')
    expect(
      moves.map(({ level, fields }) => [level, fields.component, fields.from, fields.to, fields.trigger]),
    ).toEqual([
      ['info', 'application tbcoin-engine', 'uninitialized', 'initializing', 'startup'],
      ['info', 'application tbcoin-engine', 'initializing', 'ready', 'startup'],
      ['info', 'application tbcoin-engine', 'ready', 'starting', 'startup'],
      ['info', 'application tbcoin-engine', 'starting', 'running', 'startup'],
      ['info', 'model gated@1', 'uninitialized', 'initializing', 'loadModel'],
      ['error', 'model gated@1', 'initializing', 'error', 'loadModel'],
    ])
    expect(moves.at(-1)?.fields.err).toMatchObject({ code: 'ERR_MODEL_LOAD' })
  })
})

describe('what happens to a model', () => {
  it('is one line of log, one event and one message on its channel', async () => {
    using promotions = new ChannelMessages<EngineEventMap['promoted']>('tbcoin-engine:promoted')
    using exits = new ChannelMessages<EngineEventMap['replicaExited']>('tbcoin-engine:replicaExited')
    using moves = new ChannelMessages<EngineEventMap['transition']>('tbcoin-engine:transition')
    const lines: Line[] = []
    await start({ logger: listLogger(lines), restartBackoffMs: 1 })
    const events: unknown[] = []
    runtime.on('promoted', (event) => events.push(['promoted', event]))
    runtime.on('replicaExited', (event) => events.push(['replicaExited', event]))
    await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 2 }), newVersion: '2' })
    await swap.drained

    const [exit] = exits.messages
    expect(exits.messages).toEqual([
      { subject: { kind: 'model', model: 'gated', version: '1' }, cause: expect.any(Error), restartInMs: 1 },
    ])
    const versions = ['1', '2'].map((version) => ({ kind: 'model', model: 'gated', version }))
    expect(promotions.messages).toEqual([
      { subject: versions[0], from: undefined },
      { subject: versions[1], from: '1' },
    ])
    const death = { model: 'gated', version: '1', cause: exit?.cause, restartInMs: 1 }
    expect(events).toEqual([
      ['promoted', { model: 'gated', from: undefined, to: '1' }],
      ['replicaExited', death],
      ['promoted', { model: 'gated', from: '1', to: '2' }],
    ])
    expect(lines.filter(({ message }) => message === 'replica exited')).toEqual([
      {
        level: 'warn',
        message: 'replica exited',
        fields: { component: 'pool', model: 'gated', version: '1', err: exit?.cause, restartInMs: 1 },
      },
    ])
    const published = moves.messages.map(({ subject, to }) =>
      subject.kind === 'model' ? `${subject.kind} ${subject.model}@${subject.version} ${to}` : undefined,
    )
    const logged = lines
      .filter(({ message, fields }) => message === 'transition' && `${fields.component}`.startsWith('model'))
      .map(({ fields }) => `${fields.component} ${fields.to}`)
    expect(published.filter((move) => move !== undefined)).toEqual(logged)
    expect(logged).toContain('model gated@2 running')
  })
})

describe('a listener that throws', () => {
  const mistake = new Error('a mistake in the host')

  it.each<[string, () => unknown]>([
    [
      'at once',
      () => {
        throw mistake
      },
    ],
    ['later', () => Promise.reject(mistake)],
  ])('%s does not break what it listens to, and is logged', async (_, listener) => {
    const lines: Line[] = []
    await start({ logger: listLogger(lines) })
    runtime.once('transition', listener)
    await loadGated(runtime, '1')
    expect(await ask(runtime, 1)).toBe(1)
    expect(lines.filter(({ level }) => level === 'error')).toEqual([
      {
        level: 'error',
        message: 'listener failed',
        fields: { err: mistake, event: 'transition' },
      },
    ])
  })
})

describe('a logger that throws', () => {
  const failing = (): never => {
    throw new Error('ENOSPC: no space left on device, write')
  }
  const names = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
  const methods = Object.fromEntries(names.map((name) => [name, failing])) as unknown as Omit<Logger, 'child'>

  it.each<[string, Logger]>([
    ['in every line', { ...methods, child: () => ({ ...methods, child: failing }) }],
    ['when it makes a child', { ...methods, child: failing }],
  ])('%s breaks nothing: loads, answers, deaths of replicas, the close', async (_, logger) => {
    await start({ logger, restartBackoffMs: 1 })
    await loadGated(runtime, '1')
    expect(await ask(runtime, 1)).toBe(1)
    expect(await codeOf(ask(runtime, 2, 'exit'))).toBe('ERR_REPLICA_EXITED')
    expect(await ask(runtime, 3)).toBe(3)
    await runtime.models.hotSwapModel({ ...gated({ offset: 5 }), newVersion: '2' })
    expect(await ask(runtime, 4)).toBe(9)
    await runtime.close()
    expect(runtime.requests.counts().active).toEqual({ received: 0, queued: 0, running: 0 })
  })
})
