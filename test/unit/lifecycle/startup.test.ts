import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import { deferred, movesOf, quietManager, recordingLogger, watch } from '../../support/lifecycle-harness.js'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** Returns handlers that record their names in `ran`. */
function recorder(ran: string[]) {
  return (name: string) => (): void => {
    ran.push(name)
  }
}

describe('a startup', () => {
  it('runs handlers one after another, in order of registration, and ends running', async () => {
    const manager = quietManager()
    const moves = movesOf(manager)
    const first = deferred()
    const ran: string[] = []
    manager.addStartupHandler(() => first.promise.then(() => ran.push('config')))
    manager.addStartupHandler(recorder(ran)('database'))
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(0)
    expect(ran).toEqual([])
    expect([manager.state, manager.isRunning, manager.uptimeSeconds]).toEqual(['initializing', false, 0])
    first.resolve()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(starting.outcome).toBe('done')
    expect(ran).toEqual(['config', 'database'])
    expect(manager.isRunning).toBe(true)
    expect(manager.uptimeSeconds).toBe(5)
    expect(moves).toEqual(
      ['initializing', 'ready', 'starting', 'running'].map((state) => `${state} (startup)`),
    )
  })

  it('runs a handler after those it depends on', async () => {
    const manager = quietManager()
    const ran: string[] = []
    const handler = recorder(ran)
    manager.addStartupHandler(handler('server'), { name: 'server', dependsOn: ['models', 'cache'] })
    manager.addStartupHandler(handler('models'), { name: 'models', dependsOn: ['database'] })
    manager.addStartupHandler(handler('database'), { name: 'database' })
    manager.addStartupHandler(handler('cache'), { name: 'cache' })
    await manager.startup()
    expect(ran).toEqual(['database', 'models', 'cache', 'server'])
  })

  it.each([
    ['on a handler that does not exist', { a: ['b'] }, /"a" depends on "b", which is not registered/],
    ['on each other', { a: ['b'], b: ['c'], c: ['a'] }, /a -> b -> c -> a/],
    ['on themselves', { a: ['a'] }, /a -> a/],
  ])('runs no handler if handlers depend %s', async (_, dependencies: Record<string, string[]>, message) => {
    const manager = quietManager()
    const ran: string[] = []
    for (const [name, dependsOn] of Object.entries(dependencies)) {
      manager.addStartupHandler(recorder(ran)(name), { name, dependsOn })
    }
    await expect(manager.startup()).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
      message: expect.stringMatching(message),
    })
    expect(ran).toEqual([])
    expect(manager.state).toBe('error')
  })

  it('that cannot order its handlers undoes nothing', async () => {
    const manager = quietManager()
    const ran: string[] = []
    manager.addStartupHandler(recorder(ran)('start'), { name: 'database', dependsOn: ['nobody'] })
    manager.addShutdownHandler(recorder(ran)('stop'), { name: 'database' })
    await expect(manager.startup()).rejects.toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    expect(ran).toEqual([])
  })

  it('happens once, however often and from wherever it is requested', async () => {
    const manager = quietManager()
    const ran: string[] = []
    manager.addStartupHandler(() => {
      ran.push('handler')
      void manager.startup()
    })
    await Promise.all([manager.startup(), manager.startup()])
    await manager.startup()
    expect(ran).toEqual(['handler'])
  })

  it('that takes too long names the handler, and aborts its signal', async () => {
    const manager = quietManager()
    let reason: unknown
    manager.addStartupHandler(
      ({ signal, timeoutMs }) =>
        new Promise(() => {
          expect(timeoutMs).toBe(200)
          signal.addEventListener('abort', () => {
            reason = signal.reason
          })
        }),
      { name: 'database', timeoutMs: 200 },
    )
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(199)
    expect(starting.outcome).toBe('open')
    await vi.advanceTimersByTimeAsync(1)
    expect(starting.error).toMatchObject({
      code: 'ERR_STARTUP',
      message: expect.stringContaining('"database" was not done within 200 ms'),
    })
    expect(reason).toBe(starting.error)
    expect(manager.state).toBe('error')
  })

  it('refuses a handler that is no function, has a taken name or an unknown option, or is added too late', async () => {
    const manager = quietManager()
    const refused = { code: 'ERR_INVALID_OPTIONS' }
    manager.addStartupHandler(() => undefined, { name: 'one' })
    expect(() => manager.addStartupHandler('no function' as never)).toThrow(expect.objectContaining(refused))
    expect(() => manager.addStartupHandler(() => undefined, { name: 'one' })).toThrow(/"one" already/)
    expect(() => manager.addStartupHandler(() => undefined, { timeout: 1 } as never)).toThrow(/`timeout`/)
    expect(() => manager.addShutdownHandler(() => undefined, { phase: 'late' as never })).toThrow(
      /`phase` is "late"/,
    )
    await manager.startup()
    expect(() => manager.addStartupHandler(() => undefined)).toThrow(expect.objectContaining(refused))
    await manager.shutdown()
    expect(() => manager.addShutdownHandler(() => undefined)).toThrow(expect.objectContaining(refused))
  })
})

describe('a startup that fails', () => {
  it('undoes the completed handlers in reverse, keeps the first cause, and ends in error', async () => {
    const logger = recordingLogger()
    const manager = quietManager({ logger })
    const moves = movesOf(manager)
    const ran: string[] = []
    const handler = recorder(ran)
    const cause = new Error('no route to host')
    for (const name of ['config', 'database', 'models', 'server']) {
      manager.addStartupHandler(
        name === 'models'
          ? () => {
              throw cause
            }
          : handler(`start ${name}`),
        { name },
      )
      manager.addShutdownHandler(handler(`stop ${name}`), { name })
    }
    manager.addShutdownHandler(handler('stop whatever there is'))
    const failure = await manager.startup().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(errors.ERR_STARTUP)
    expect(failure).toMatchObject({
      message: expect.stringContaining('"models" failed: no route to host'),
      cause,
    })
    expect(ran).toEqual([
      'start config',
      'start database',
      'stop whatever there is',
      'stop database',
      'stop config',
    ])
    expect(moves).toEqual(['initializing (startup)', 'stopping (startup)', 'error (startup)'])
    expect(logger.lines.filter((line) => line.endsWith(' transition'))).toHaveLength(3)
  })

  it('keeps its cause when undoing fails too', async () => {
    const manager = quietManager()
    manager.addStartupHandler(() => undefined, { name: 'database' })
    manager.addShutdownHandler(() => Promise.reject(new Error('cannot close')), { name: 'database' })
    manager.addStartupHandler(() => Promise.reject(new Error('first')), { name: 'models' })
    await expect(manager.startup()).rejects.toThrow(/"models" failed: first/)
    await expect(manager.shutdown()).resolves.toBeUndefined()
    expect(manager.state).toBe('error')
  })

  it('undoes a handler that completes after its timeout', async () => {
    const manager = quietManager()
    const ran: string[] = []
    const slow = deferred()
    manager.addStartupHandler(() => slow.promise, { name: 'database', timeoutMs: 100 })
    manager.addShutdownHandler(recorder(ran)('stop database'), { name: 'database' })
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(100)
    expect(starting.outcome).toBe('failed')
    expect(ran).toEqual([])
    slow.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect(ran).toEqual(['stop database'])
  })

  it('cannot be repeated with the same manager', async () => {
    const manager = quietManager()
    manager.addStartupHandler(() => Promise.reject(new Error('first')))
    const first = await manager.startup().catch((error: unknown) => error)
    expect(await manager.startup().catch((error: unknown) => error)).toBe(first)
  })
})
