import { EventEmitter, errorMonitor, on, once } from 'node:events'
import { afterAll, describe, expect, it } from 'vitest'
import { createRuntime } from '../../../src/create-runtime.js'
import { LifecycleManager } from '../../../src/lifecycle/lifecycle-manager.js'
import { RequestTracker } from '../../../src/requests/request-tracker.js'
import { ResourceLifecycleManager } from '../../../src/resources/resource-manager.js'

const runtime = await createRuntime({ logLevel: 'silent' })
afterAll(() => runtime.close())

/** All emitters without their event types, so that any text may be the name of an event. */
const emitters: [string, EventEmitter, event: string, typo: string][] = [
  ['a runtime', runtime, 'promoted', 'promote'],
  ['a lifecycle manager', new LifecycleManager({ logLevel: 'silent' }), 'transition', 'transitions'],
  ['a resource manager', new ResourceLifecycleManager({ logLevel: 'silent' }), 'transition', 'transtion'],
  ['a request tracker', new RequestTracker(), 'settled', 'setled'],
]
const methods = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
  'off',
  'removeListener',
] as const
const listener = (): void => undefined

describe.each(emitters)('%s', (_, emitter, event, typo) => {
  it.each(methods)('refuses a listener for an unknown event, and suggests the nearest name: %s', (method) => {
    const refused = expect.objectContaining({
      code: 'ERR_INVALID_OPTIONS',
      message: `${method}: there is no event '${typo}'; did you mean '${event}'?`,
    })
    expect(() => emitter[method](typo, listener)).toThrow(refused)
    expect(emitter.listenerCount(typo)).toBe(0)
  })

  it('lists its events when none is similar to the unknown one', () => {
    expect(() => emitter.on('message', listener)).toThrow(
      new RegExp(`^on: there is no event 'message'; the events are .*\\b${event}\\b`),
    )
  })

  it.each([event, 'error', 'newListener', 'removeListener', Symbol('of the host'), errorMonitor])(
    'adds and removes a listener for %s',
    (name) => {
      const before = emitter.listenerCount(name)
      emitter.on(name, listener)
      expect(emitter.listenerCount(name)).toBe(before + 1)
      emitter.off(name, listener)
      expect(emitter.listenerCount(name)).toBe(before)
    },
  )

  it('works with `once` and `on` of node:events, which listen for errors too', async () => {
    const stop = new AbortController()
    const [first, all] = [once(emitter, event), on(emitter, event, { signal: stop.signal })]
    emitter.emit(event, 1)
    expect(await first).toEqual([1])
    expect((await all.next()).value).toEqual([1])
    stop.abort()
    await expect(all.next()).rejects.toThrow('aborted')
    expect(emitter.listenerCount('error')).toBe(0)
  })

  it('is an emitter of Node', () => {
    expect(emitter).toBeInstanceOf(EventEmitter)
  })
})
