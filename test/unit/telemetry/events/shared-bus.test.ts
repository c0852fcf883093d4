import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, it } from 'vitest'
import { createRuntime } from '../../../../src/create-runtime.js'
import { LifecycleManager } from '../../../../src/lifecycle/lifecycle-manager.js'
import { ResourceLifecycleManager } from '../../../../src/resources/resource-manager.js'
import type { ClosedEvent, TransitionEvent } from '../../../../src/telemetry/events/event-map.js'
import { ChannelMessages } from '../../../support/channel-messages.js'
import { type Line, listLogger } from '../../../support/test-logger.js'
import { uncaughtExceptionsOf } from '../../../support/uncaught-exceptions.js'

interface Move {
  readonly component: string
  readonly to: string
}

const STARTED = ['initializing', 'ready', 'starting', 'running']
const STOPPED = ['stopping', 'stopped']

/** Returns the states that each component has entered. */
function statesIn(moves: readonly Move[]): Record<string, string[]> {
  const states: Record<string, string[]> = {}
  for (const { component, to } of moves) {
    states[component] ??= []
    states[component].push(to)
  }
  return states
}

function linesOf(lines: readonly Line[]): Move[] {
  return lines
    .filter(({ message }) => message === 'transition')
    .map(({ fields }) => fields as unknown as Move)
}

it('each transition in a runtime is one log line, one message on the channel and one event of each emitter', async () => {
  using transitions = new ChannelMessages<TransitionEvent>('tbcoin-engine:transition')
  using closes = new ChannelMessages<ClosedEvent>('tbcoin-engine:closed')
  const lines: Line[] = []
  const runtime = await createRuntime({ appName: 'shop', logger: listLogger(lines) })
  const moves: Record<'runtime' | 'lifecycle' | 'resources', Move[]> = {
    runtime: [],
    lifecycle: [],
    resources: [],
  }
  runtime.on('transition', (move) => moves.runtime.push(move))
  runtime.lifecycle.on('transition', (move) => moves.lifecycle.push(move))
  runtime.resources.on('transition', (move) => moves.resources.push(move))
  runtime.resources.registerResourceType('value', () => 1)
  await runtime.resources.initializeResource({ name: 'db', resourceType: 'value' })
  const { durationMs } = await runtime.close()

  const resource = { 'resource db': [...STARTED, ...STOPPED] }
  expect(statesIn(moves.runtime)).toEqual({ ...resource, 'application shop': STOPPED })
  expect(statesIn(moves.lifecycle)).toEqual({ 'application shop': STOPPED })
  expect(statesIn(moves.resources)).toEqual(resource)
  expect(statesIn(linesOf(lines))).toEqual({ ...resource, 'application shop': [...STARTED, ...STOPPED] })

  const subject = { kind: 'application', name: 'shop' }
  const ofKind = (kind: string): TransitionEvent[] =>
    transitions.messages.filter((event) => event.subject.kind === kind)
  expect(ofKind('application').map(({ to }) => to)).toEqual([...STARTED, ...STOPPED])
  expect(ofKind('application')[0]).toEqual({
    subject,
    from: 'uninitialized',
    to: 'initializing',
    trigger: 'startup',
    at: expect.any(Number),
  })
  expect(ofKind('resource').map((event) => event.subject)).toEqual(
    Array.from({ length: 6 }, () => ({ kind: 'resource', name: 'db' })),
  )
  expect(closes.messages).toEqual([{ subject, durationMs, rejected: 0, stuck: [], failures: [] }])
})

it('managers without a runtime have a bus each', async () => {
  using transitions = new ChannelMessages<TransitionEvent>('tbcoin-engine:transition')
  const lines: Line[] = []
  const logger = listLogger(lines)
  const [one, other] = ['one', 'other'].map(
    (appName) => new LifecycleManager({ appName, logger, handleSignals: false }),
  ) as [LifecycleManager, LifecycleManager]
  const resources = new ResourceLifecycleManager({ logger })
  const moves: Move[] = []
  for (const emitter of [one, resources]) emitter.on('transition', (move: Move) => moves.push(move))
  await one.startup()
  await other.startup()
  resources.registerResourceType('value', () => 1)
  await resources.initializeResource({ name: 'db', resourceType: 'value' })
  await other.shutdown()

  expect(statesIn(moves)).toEqual({ 'application one': STARTED, 'resource db': STARTED })
  expect(statesIn(linesOf(lines))).toEqual({
    'application one': STARTED,
    'application other': [...STARTED, ...STOPPED],
    'resource db': STARTED,
  })
  expect(transitions.messages).toHaveLength(linesOf(lines).length)
})

it('a channel subscriber that throws breaks neither a start nor a close', async () => {
  const mistake = new Error('a mistake')
  const throwing = (): never => {
    throw mistake
  }
  subscribe('tbcoin-engine:transition', throwing)
  const lines: Line[] = []
  const raised = await uncaughtExceptionsOf(async () => {
    const runtime = await createRuntime({ logger: listLogger(lines) })
    expect(runtime.state).toBe('running')
    expect(await runtime.close()).toMatchObject({ failures: [] })
  })
  unsubscribe('tbcoin-engine:transition', throwing)
  expect(linesOf(lines).map(({ to }) => to)).toEqual([...STARTED, ...STOPPED])
  expect(raised).toEqual(Array.from({ length: 6 }, () => mistake))
})

it('a runtime reports its close even if the listeners of its lifecycle were removed', async () => {
  const runtime = await createRuntime({ logLevel: 'silent' })
  runtime.lifecycle.removeAllListeners()
  expect(await runtime.close()).toMatchObject({ rejected: 0, stuck: [], failures: [] })
})
