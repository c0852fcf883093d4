import { EventEmitter } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/platform/clock.js'
import { Announcer } from '../../../src/telemetry/announcer.js'
import { type Line, listLogger } from '../../support/test-logger.js'

interface Events {
  moved: [to: string]
}

function announcerOf(): { emitter: EventEmitter<Events>; announcer: Announcer<Events>; lines: Line[] } {
  const emitter = new EventEmitter<Events>()
  const lines: Line[] = []
  return { emitter, announcer: new Announcer<Events>(systemClock, emitter, listLogger(lines)), lines }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('an announcer', () => {
  it('calls every listener as `emit` does, and one-time listeners only once', () => {
    const { emitter, announcer } = announcerOf()
    const received: unknown[] = []
    emitter.on('moved', function (this: unknown, to) {
      received.push([this === emitter, to])
    })
    emitter.once('moved', (to) => received.push(to))
    announcer.emit('moved', 'a')
    announcer.emit('moved', 'b')
    expect(received).toEqual([[true, 'a'], 'a', [true, 'b']])
  })

  it('calls the other listeners when one throws, and logs the error', () => {
    const { emitter, announcer, lines } = announcerOf()
    const received: string[] = []
    emitter.on('moved', () => {
      throw new Error('mine')
    })
    emitter.on('moved', (to) => received.push(to))
    expect(() => announcer.emit('moved', 'a')).not.toThrow()
    expect(received).toEqual(['a'])
    expect(lines).toEqual([
      {
        level: 'error',
        message: 'listener failed',
        fields: { err: new Error('mine'), event: 'moved' },
      },
    ])
  })

  it('logs a listener that rejects', async () => {
    const { emitter, announcer, lines } = announcerOf()
    emitter.on('moved', async () => {
      throw new Error('later')
    })
    announcer.emit('moved', 'a')
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines.map(({ fields }) => fields)).toEqual([{ err: new Error('later'), event: 'moved' }])
  })

  it('logs one of many errors a second, with the number of those left out', () => {
    vi.useFakeTimers({ now: 10_000 })
    const { emitter, announcer, lines } = announcerOf()
    emitter.on('moved', (to) => {
      throw new Error(to)
    })
    for (let round = 0; round < 100; round += 1) announcer.emit('moved', `${round}`)
    vi.advanceTimersByTime(1_000)
    announcer.emit('moved', 'last')
    expect(lines.map(({ fields }) => fields)).toEqual([
      { err: new Error('0'), event: 'moved' },
      { err: new Error('last'), event: 'moved', unlogged: 99 },
    ])
  })
})
