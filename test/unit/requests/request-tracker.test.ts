import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import { RequestTracker } from '../../../src/requests/request-tracker.js'
import { type Line, listLogger } from '../../support/test-logger.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const none = { completed: 0, failed: 0, 'timed-out': 0, cancelled: 0, rejected: 0 }

/** Returns a live list of all events of the tracker, such as `2 transition queued>running`. */
function eventsOf(tracker: RequestTracker): string[] {
  const events: string[] = []
  tracker.on('received', ({ id, state }) => events.push(`${id} received ${state}`))
  tracker.on('transition', ({ id, state }, from) => events.push(`${id} transition ${from}>${state}`))
  tracker.on('settled', ({ id, state }, error) => events.push(`${id} settled ${state} ${error ?? ''}`.trim()))
  return events
}

describe('a tracked request', () => {
  it('is received, and open until it is completed', () => {
    const tracker = new RequestTracker()
    const order = tracker.begin('order', { orderId: 7 })
    expect(order).toMatchObject({ id: 1, kind: 'order', state: 'received' })
    expect(tracker.active()).toMatchObject([{ id: 1, kind: 'order', state: 'received' }])
    order.complete()
    expect(order.state).toBe('completed')
    expect(tracker.active()).toEqual([])
    expect(tracker.recent()).toMatchObject([{ id: 1, state: 'completed' }])
  })

  it('reports how long it spent in each phase', () => {
    vi.setSystemTime(0)
    const tracker = new RequestTracker()
    const order = tracker.begin('order', { orderId: 7 })
    vi.advanceTimersByTime(1)
    order.to('queued')
    vi.advanceTimersByTime(20)
    order.to('running')
    vi.advanceTimersByTime(300)
    const phases = { receivedMs: 1, queuedMs: 20, runningMs: 300, totalMs: 321 }
    expect(tracker.active()).toMatchObject([phases])
    vi.advanceTimersByTime(4000)
    order.fail(new errors.ERR_INFERENCE('x'))
    vi.advanceTimersByTime(50_000)
    expect(tracker.recent()).toEqual([
      {
        id: 1,
        kind: 'order',
        state: 'failed',
        parent: undefined,
        model: undefined,
        version: undefined,
        info: { orderId: 7 },
        code: 'ERR_INFERENCE',
        receivedAt: expect.closeTo(performance.timeOrigin + performance.now() - 54_321),
        ...phases,
        runningMs: 4300,
        totalMs: 4321,
      },
    ])
  })

  it.each([
    ['received', undefined, { receivedMs: 5, queuedMs: 0, runningMs: 0 }],
    ['queued', 'queued', { receivedMs: 0, queuedMs: 5, runningMs: 0 }],
    ['running', 'running', { receivedMs: 0, queuedMs: 0, runningMs: 5 }],
  ] as const)('that ends while it is %s has the other phases at 0', (_, state, phases) => {
    const tracker = new RequestTracker()
    const order = tracker.begin('order')
    if (state !== undefined) order.to(state)
    vi.advanceTimersByTime(5)
    order.to('cancelled')
    expect(tracker.recent()).toMatchObject([{ state: 'cancelled', totalMs: 5, ...phases }])
  })

  it('keeps its info unchanged', () => {
    const tracker = new RequestTracker()
    const info = { orderId: 7 }
    tracker.begin('order', info).complete()
    expect(tracker.recent()[0]?.info).toBe(info)
  })

  it('never changes after its end', () => {
    const tracker = new RequestTracker()
    const order = tracker.begin('order')
    order.complete()
    expect(() => order.complete()).toThrow(/request 1 \(order\) .*completed to completed; that is final/)
    expect(() => order.fail(new Error('x'))).toThrow(errors.ERR_ILLEGAL_TRANSITION)
    expect(() => order.run(() => undefined)).toThrow(errors.ERR_ILLEGAL_TRANSITION)
    expect(order.state).toBe('completed')
    expect(tracker.counts().totals).toEqual({ ...none, received: 1, queued: 0, running: 0, completed: 1 })
    expect(tracker.recent()).toHaveLength(1)
  })

  it('refuses to go back, and refuses an unknown state', () => {
    const order = new RequestTracker().begin('order')
    order.to('running')
    expect(() => order.to('queued')).toThrow(
      /from running to queued; from running it can go to completed, failed/,
    )
    expect(() => order.to('rejected')).toThrow(errors.ERR_ILLEGAL_TRANSITION)
    expect(() => order.to('done' as never)).toThrow(errors.ERR_ILLEGAL_TRANSITION)
    expect(order.state).toBe('running')
  })

  it('ends in the state that its error implies', () => {
    const tracker = new RequestTracker()
    for (const error of [
      new errors.ERR_DEADLINE_EXCEEDED('x'),
      new errors.ERR_ABORTED('x'),
      new errors.ERR_OVERLOADED('x'),
      new Error('x'),
    ]) {
      tracker.begin('order').fail(error)
    }
    expect(tracker.recent().map(({ state, code }) => [state, code])).toEqual([
      ['failed', undefined],
      ['rejected', 'ERR_OVERLOADED'],
      ['cancelled', 'ERR_ABORTED'],
      ['timed-out', 'ERR_DEADLINE_EXCEEDED'],
    ])
  })

  it('that is still open when its scope ends has failed, and a completed one has not', () => {
    const tracker = new RequestTracker()
    const leave = (isCompleted: boolean): void => {
      using order = tracker.begin('order')
      if (isCompleted) order.complete()
    }
    leave(true)
    leave(false)
    expect(tracker.recent().map(({ state }) => state)).toEqual(['failed', 'completed'])
  })

  it.each([[''], [undefined], [7]])('refuses the kind %j', (kind) => {
    const tracker = new RequestTracker()
    expect(() => tracker.begin(kind as never)).toThrow(errors.ERR_INVALID_OPTIONS)
    expect(tracker.counts().totals.received).toBe(0)
  })

  it.each([['text'], [null], [7]])('refuses the info %j', (info) => {
    expect(() => new RequestTracker().begin('order', info as never)).toThrow(errors.ERR_INVALID_OPTIONS)
  })
})

describe('a request that begins inside run', () => {
  it('is a child, also after an await, and one that begins outside is not', async () => {
    const tracker = new RequestTracker()
    const order = tracker.begin('order')
    const inside = order.run(async () => {
      const [first] = [tracker.begin('step')]
      await Promise.resolve()
      tracker.receive('vad')
      first?.run(() => tracker.begin('detail'))
      return 'what fn returns'
    })
    tracker.begin('other')
    await expect(inside).resolves.toBe('what fn returns')
    const parents = tracker.active().map(({ kind, parent }) => [kind, parent])
    expect(parents).toEqual([
      ['order', undefined],
      ['step', 1],
      ['other', undefined],
      ['predict', 1],
      ['detail', 2],
    ])
  })

  it('begins while its parent is running, and run does not end the parent', () => {
    const tracker = new RequestTracker()
    const order = tracker.begin('order')
    expect(order.run(() => order.state)).toBe('running')
    expect(() =>
      order.run(() => {
        throw new Error('the order is wrong')
      }),
    ).toThrow('the order is wrong')
    expect(order.state).toBe('running')
  })

  it('on another tracker has no parent', () => {
    const [one, other] = [new RequestTracker(), new RequestTracker()]
    one.begin('order').run(() => other.begin('order'))
    expect(other.active()).toMatchObject([{ parent: undefined }])
  })
})

describe('the request counts', () => {
  it('are all zeros at first', () => {
    expect(new RequestTracker().counts()).toEqual({
      totals: { ...none, received: 0, queued: 0, running: 0 },
      active: { received: 0, queued: 0, running: 0 },
    })
  })

  it('report the requests that were ever in a state, and those that are in it now', () => {
    const tracker = new RequestTracker()
    const [first, second] = [tracker.begin('a'), tracker.begin('b'), tracker.begin('c')]
    first.to('queued')
    first.to('running')
    second.to('queued')
    expect(tracker.counts()).toEqual({
      totals: { ...none, received: 3, queued: 2, running: 1 },
      active: { received: 1, queued: 1, running: 1 },
    })
    first.complete()
    expect(tracker.counts()).toEqual({
      totals: { ...none, received: 3, queued: 2, running: 1, completed: 1 },
      active: { received: 1, queued: 1, running: 0 },
    })
  })

  it('are a copy', () => {
    const tracker = new RequestTracker()
    const before = tracker.counts()
    tracker.begin('a')
    expect(before.totals.received).toBe(0)
  })
})

describe('the recent requests', () => {
  it('are the last ones, newest first, in the order of their ends', () => {
    const tracker = new RequestTracker({ recent: 3 })
    const handles = Array.from({ length: 5 }, () => tracker.begin('a'))
    for (const index of [4, 0, 1, 2, 3]) handles[index]?.complete()
    expect(tracker.recent().map(({ id }) => id)).toEqual([4, 3, 2])
    expect(tracker.recent(2).map(({ id }) => id)).toEqual([4, 3])
    expect(tracker.recent(0)).toEqual([])
  })

  it('are a hundred by default', () => {
    const tracker = new RequestTracker()
    for (let i = 0; i < 150; i += 1) tracker.begin('a').complete()
    expect(tracker.recent()).toHaveLength(100)
  })

  it('are none with 0', () => {
    const tracker = new RequestTracker({ recent: 0 })
    tracker.begin('a').complete()
    expect(tracker.recent()).toEqual([])
    expect(tracker.counts().totals.completed).toBe(1)
  })

  it.each([{ recent: -1 }, { recent: 1.5 }, { recent: '3' }, { last: 3 }])(
    'refuse the options %j',
    (options) => {
      expect(() => new RequestTracker(options as never)).toThrow(errors.ERR_INVALID_OPTIONS)
    },
  )
})

describe('the listeners of a tracker', () => {
  it('are called for every transition, in order', () => {
    const tracker = new RequestTracker()
    const events = eventsOf(tracker)
    const order = tracker.begin('order')
    order.to('queued')
    order.to('running')
    order.fail(new Error('why'))
    expect(events).toEqual([
      '1 received received',
      '1 transition received>queued',
      '1 transition queued>running',
      '1 transition running>failed',
      '1 settled failed Error: why',
    ])
  })

  it('see consistent counts and lists', () => {
    const tracker = new RequestTracker()
    const seen: unknown[] = []
    tracker.on('received', ({ id }) =>
      seen.push(
        tracker
          .active()
          .map((one) => one.id)
          .includes(id),
      ),
    )
    tracker.on('settled', ({ id }) => seen.push(tracker.active().length, tracker.recent()[0]?.id === id))
    tracker.begin('order').complete()
    expect(seen).toEqual([true, 0, true])
  })

  it('are not called after they are removed, and are called again once they are added again', () => {
    const tracker = new RequestTracker()
    const heard: number[] = []
    const listen = ({ id }: { id: number }): void => void heard.push(id)
    tracker.once('received', listen)
    tracker.begin('a')
    tracker.begin('b')
    tracker.on('received', listen)
    tracker.begin('c')
    tracker.off('received', listen)
    tracker.begin('d')
    tracker.on('received', listen)
    tracker.removeAllListeners()
    tracker.begin('e')
    tracker.prependListener('received', listen)
    tracker.begin('f')
    tracker.removeAllListeners('received')
    tracker.begin('g')
    tracker.on('received', listen)
    tracker.begin('h')
    expect(heard).toEqual([1, 3, 6, 8])
  })

  it('are called for requests that began before the listeners were added', () => {
    const tracker = new RequestTracker()
    const order = tracker.begin('order')
    const events = eventsOf(tracker)
    order.complete()
    expect(events).toEqual(['1 transition received>completed', '1 settled completed'])
  })

  it('may settle the request that an event reports', () => {
    const tracker = new RequestTracker()
    const events = eventsOf(tracker)
    const order = tracker.begin('order')
    tracker.on('transition', ({ state }) => state === 'queued' && order.fail(new errors.ERR_ABORTED('x')))
    order.to('queued')
    expect(order.state).toBe('cancelled')
    expect(events.at(-1)).toBe('1 settled cancelled AbortError: x')
    expect(events.filter((line) => line.includes('settled'))).toHaveLength(1)
    expect(() => order.to('running')).toThrow(errors.ERR_ILLEGAL_TRANSITION)
  })

  it('that throw are logged, and keep no other listener from being called', () => {
    const lines: Line[] = []
    const tracker = new RequestTracker({ logger: listLogger(lines) })
    const mistake = new Error('a mistake in the host')
    tracker.on('settled', () => {
      throw mistake
    })
    const events = eventsOf(tracker)
    const order = tracker.begin('order')
    order.complete()
    expect(order.state).toBe('completed')
    expect(events.at(-1)).toBe('1 settled completed')
    expect(lines).toEqual([
      {
        level: 'error',
        message: 'listener failed',
        fields: { err: mistake, event: 'settled' },
      },
    ])
  })
})

describe('an unreadable error', () => {
  const hostile = (): Error =>
    new Proxy(new Error('x'), {
      get: () => {
        throw new Error('no')
      },
      getPrototypeOf: () => {
        throw new Error('no')
      },
    })

  it('fails a request like any other error', () => {
    const tracker = new RequestTracker()
    tracker.begin('order').fail(hostile())
    const moved = tracker.begin('order')
    moved.to('failed', hostile())
    expect(tracker.active()).toEqual([])
    expect(tracker.counts()).toMatchObject({
      totals: { received: 2, failed: 2 },
      active: { received: 0, queued: 0, running: 0 },
    })
    expect(tracker.recent().map(({ state, code }) => [state, code])).toEqual([
      ['failed', undefined],
      ['failed', undefined],
    ])
  })
})

describe('the async context of tracker events', () => {
  const store = new AsyncLocalStorage<string>()
  const contextsOf = (tracker: RequestTracker): (string | undefined)[] => {
    const seen: (string | undefined)[] = []
    for (const event of ['received', 'transition', 'settled'] as const) {
      tracker.on(event, () => seen.push(store.getStore()))
    }
    return seen
  }

  it('is the one in which the request began, wherever it changes its state', () => {
    const tracker = new RequestTracker()
    const seen = contextsOf(tracker)
    const order = store.run('caller', () => tracker.begin('order'))
    store.run('other', () => order.to('running'))
    order.complete()
    expect(seen).toEqual(['caller', 'caller', 'caller', 'caller'])
  })

  it('is empty for a request that began before any listener was added', () => {
    const tracker = new RequestTracker()
    const order = store.run('caller', () => tracker.begin('order'))
    const seen = contextsOf(tracker)
    store.run('other', () => order.complete())
    expect(seen).toEqual([undefined, undefined])
  })
})
