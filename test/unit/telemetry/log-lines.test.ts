import { describe, expect, it } from 'vitest'
import type { EngineEventMap } from '../../../src/telemetry/events/event-map.js'
import type { Logger } from '../../../src/telemetry/logger.js'
import { ChannelMessages } from '../../support/channel-messages.js'
import { ask, codeOf, gated, gatedLoader, loadGated } from '../../support/runtime-harness.js'
import { advance, gate, runtime, start, useSimulatedRuntime } from '../../support/simulated-runtime.js'
import { type Line, listLogger } from '../../support/test-logger.js'

useSimulatedRuntime()

describe('the log lines of a runtime', () => {
  it('name every transition with its trigger and cause', async () => {
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

  it('include those of replicas, with their model', async () => {
    const lines: Line[] = []
    await start({ logger: listLogger(lines), logLevel: 'info' })
    await loadGated(runtime, '1')
    await ask(runtime, 1, 'log')
    const logged = lines.filter((line) => line.message.startsWith('a '))
    expect(logged.map((line) => line.level)).toEqual(['info', 'warn', 'error'])
    for (const { fields } of logged) expect(fields).toMatchObject({ model: 'gated', version: '1', n: 1 })
  })
})

describe('setLogLevel', () => {
  it('rejects with ERR_INVALID_OPTIONS if there is no such level', async () => {
    await start()
    await loadGated(runtime, '1')
    expect(await codeOf(runtime.models.setLogLevel('loud' as never))).toBe('ERR_INVALID_OPTIONS')
  })

  it('waits no longer than controlTimeoutMs for a replica that is busy', async () => {
    await start({ controlTimeoutMs: 10 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    const setting = runtime.models.setLogLevel('warn')
    await advance(10)
    await setting
    held.open('run')
    expect(await running).toBe(1)
  })
})

it('what happens to a model is one line of log, one event and one message on its channel', async () => {
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

describe('a listener that fails', () => {
  const mistake = new Error('a mistake in the application')

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw mistake
      },
    ],
    ['rejects', () => Promise.reject(mistake)],
  ])('because it %s does not break what it listens to, and is logged', async (_, listener) => {
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
  ])('%s breaks no load, request, restart or close', async (_, logger) => {
    await start({ logger, restartBackoffMs: 1 })
    await loadGated(runtime, '1')
    expect(await ask(runtime, 1)).toBe(1)
    expect(await codeOf(ask(runtime, 2, 'exit'))).toBe('ERR_REPLICA_EXITED')
    const next = ask(runtime, 3)
    await advance(1)
    expect(await next).toBe(3)
    await runtime.models.hotSwapModel({ ...gated({ offset: 5 }), newVersion: '2' })
    expect(await ask(runtime, 4)).toBe(9)
    await runtime.close()
    expect(runtime.requests.counts().active).toEqual({ received: 0, queued: 0, running: 0 })
  })
})
