import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it } from 'vitest'
import { EngineEvents } from '../../../../src/telemetry/events/engine-events.js'
import type {
  EngineEventMap,
  EngineEventName,
  PromotedEvent,
  TransitionEvent,
} from '../../../../src/telemetry/events/event-map.js'
import { componentOf, modelSubject, type Subject } from '../../../../src/telemetry/events/subject.js'
import { TestClock } from '../../../../src/testing/test-clock.js'
import { type Line, listLogger } from '../../../support/test-logger.js'
import { uncaughtExceptionsOf } from '../../../support/uncaught-exceptions.js'

const subject = modelSubject({ model: 'vad', version: '5' })
const promoted: PromotedEvent = { subject, from: '4' }
const mistake = new Error('a mistake')

function busOf(): { events: EngineEvents; lines: Line[]; clock: TestClock } {
  const lines: Line[] = []
  const clock = new TestClock()
  return { events: new EngineEvents(clock, listLogger(lines)), lines, clock }
}

function transition(to: TransitionEvent['to'], of: Subject = subject, cause?: unknown): TransitionEvent {
  const more = cause === undefined ? {} : { cause }
  return { subject: of, from: 'initializing', to, trigger: 'loadModel', at: 1, ...more }
}

describe('a bus of engine events', () => {
  it('calls the handlers of an event in the order of subscription, before publish returns', () => {
    const { events } = busOf()
    const calls: unknown[] = []
    events.subscribe({ promoted: (event) => calls.push(['first', event]) })
    events.subscribe({ transition: () => calls.push('another event') })
    events.subscribe({ promoted: (event) => calls.push(['second', event]) })
    events.publish('promoted', promoted)
    expect(calls).toEqual([
      ['first', promoted],
      ['second', promoted],
    ])
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw mistake
      },
    ],
    ['rejects', () => Promise.reject(mistake)],
  ])('logs a subscriber that %s, and calls the others', async (_, handler) => {
    const { events, lines } = busOf()
    let called = 0
    events.subscribe({ promoted: () => handler() as undefined })
    events.subscribe({ promoted: () => (called += 1) })
    expect(() => events.publish('promoted', promoted)).not.toThrow()
    await new Promise((resolve) => setImmediate(resolve))
    expect(called).toBe(1)
    expect(lines).toEqual([
      {
        level: 'error',
        message: 'event subscriber failed',
        fields: { err: mistake, event: 'promoted' },
      },
    ])
  })

  it('logs one failure of a subscriber a second, with the number of those left out', async () => {
    const { events, lines, clock } = busOf()
    events.subscribe({
      promoted: () => {
        throw mistake
      },
    })
    for (let i = 0; i < 10; i += 1) events.publish('promoted', promoted)
    await clock.advance(1_000)
    events.publish('promoted', promoted)
    expect(lines.map(({ fields }) => fields.unlogged)).toEqual([undefined, 9])
  })
})

describe('the log lines of events', () => {
  it.each<[Subject, string]>([
    [{ kind: 'application', name: 'shop' }, 'application shop'],
    [subject, 'model vad@5'],
    [{ kind: 'resource', name: 'db' }, 'resource db'],
  ])('name the component of a transition: %o', (of, component) => {
    const { events, lines } = busOf()
    events.publish('transition', transition('ready', of))
    expect(componentOf(of)).toBe(component)
    expect(lines).toEqual([
      {
        level: 'info',
        message: 'transition',
        fields: { component, from: 'initializing', to: 'ready', trigger: 'loadModel' },
      },
    ])
  })

  it('are errors, with their cause, when a component goes to error', () => {
    const { events, lines } = busOf()
    events.publish('transition', transition('error', subject, mistake))
    expect(lines).toMatchObject([{ level: 'error', fields: { component: 'model vad@5', err: mistake } }])
  })

  it('report the events of a pool, with its model and version', () => {
    const { events, lines } = busOf()
    events.publish('replicaExited', { subject, cause: mistake, restartInMs: 100 })
    events.publish('replicaStuck', { subject, threadId: 3, runningMs: 60_000 })
    events.publish('batchingDisabled', { subject, reason: 'y differs' })
    const pool = { component: 'pool', model: 'vad', version: '5' }
    expect(lines).toEqual([
      { level: 'warn', message: 'replica exited', fields: { ...pool, err: mistake, restartInMs: 100 } },
      {
        level: 'error',
        message: 'run exceeded stuckAfterMs; replica quarantined',
        fields: { ...pool, threadId: 3, runningMs: 60_000 },
      },
      {
        level: 'error',
        message: 'batching disabled: a batched result differed from the unbatched one',
        fields: { ...pool, reason: 'y differs' },
      },
    ])
  })

  it('are not written for events that transitions or other lines report', () => {
    const { events, lines } = busOf()
    events.publish('promoted', promoted)
    events.publish('artifactDecided', { subject, form: 'original', reason: 'it does not load' })
    const application = { kind: 'application', name: 'shop' } as const
    events.publish('closed', { subject: application, durationMs: 1, rejected: 0, stuck: [], failures: [] })
    expect(lines).toEqual([])
  })
})

describe('diagnostics channels', () => {
  const leave: (() => void)[] = []
  const listen = (name: string, handler: (message: unknown) => void): void => {
    subscribe(name, handler)
    leave.push(() => unsubscribe(name, handler))
  }
  afterEach(() => {
    for (const each of leave.splice(0)) each()
  })

  const application = { kind: 'application', name: 'shop' } as const
  const samples: EngineEventMap = {
    transition: transition('ready'),
    promoted,
    replicaExited: { subject, cause: mistake, restartInMs: 100 },
    replicaStuck: { subject, threadId: 3, runningMs: 60_000 },
    batchingDisabled: { subject, reason: 'y differs' },
    artifactDecided: { subject, form: 'original', reason: 'it does not load' },
    closed: { subject: application, durationMs: 1, rejected: 0, stuck: [], failures: [] },
  }

  it.each(Object.keys(samples) as EngineEventName[])('receive the published event object: %s', (name) => {
    const { events } = busOf()
    const messages: unknown[] = []
    for (const each of Object.keys(samples)) {
      listen(`tbcoin-engine:${each}`, (message) => messages.push([each, message]))
    }
    events.publish(name, samples[name])
    expect(messages).toEqual([[name, samples[name]]])
    expect((messages[0] as unknown[])[1]).toBe(samples[name])
  })

  it('have subscribers whose errors Node raises, while the publisher and other subscribers go on', async () => {
    const { events, lines } = busOf()
    const calls: string[] = []
    listen('tbcoin-engine:promoted', () => {
      throw mistake
    })
    listen('tbcoin-engine:promoted', () => calls.push('channel'))
    events.subscribe({ promoted: () => calls.push('bus') })
    const raised = await uncaughtExceptionsOf(() => {
      events.publish('promoted', promoted)
      calls.push('publisher')
    })
    expect(raised).toEqual([mistake])
    expect(calls).toEqual(['channel', 'bus', 'publisher'])
    expect(lines).toEqual([])
  })
})
