import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import { ResourceLifecycleManager } from '../../../src/resources/resource-manager.js'
import type { InitializeResourceOptions } from '../../../src/resources/resource-options.js'
import { follow, turn } from '../../support/pool-harness.js'
import { Deferred, ResourceKit } from '../../support/resource-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a resource that is initialised', () => {
  it('goes from uninitialized to running, one event and one line of log a move', async () => {
    const kit = new ResourceKit()
    const thing = await kit.init('db')
    expect(kit.moves).toEqual([
      'db uninitialized>initializing',
      'db initializing>ready',
      'db ready>starting',
      'db starting>running',
    ])
    expect(kit.lines.map(({ level, fields }) => [level, fields.component, fields.to])).toEqual([
      ['info', 'resource db', 'initializing'],
      ['info', 'resource db', 'ready'],
      ['info', 'resource db', 'starting'],
      ['info', 'resource db', 'running'],
    ])
    expect(kit.manager.getResource('db')).toBe(thing)
  })

  it('takes an initializer that is not async, and one that makes nothing', async () => {
    const { manager } = new ResourceKit()
    manager.registerResourceType('number', (config: { start: number }) => config.start + 1)
    manager.registerResourceType('nothing', () => undefined)
    const value = await manager.initializeResource({
      name: 'n',
      resourceType: 'number',
      config: { start: 1 },
    })
    await manager.initializeResource({ name: 'u', resourceType: 'nothing' })
    expect(value).toBe(2)
    expect(manager.getResource('n')).toBe(2)
    expect(manager.getResource('u')).toBeUndefined()
  })

  it('gives the initializer its name, its config, a logger and a signal that has not aborted', async () => {
    const { manager, lines } = new ResourceKit()
    const initializer = vi.fn((_config: unknown, { name, signal, logger }) => {
      logger.warn({ port: 1 }, 'slow')
      return { name, isAborted: signal.aborted }
    })
    manager.registerResourceType('seen', initializer)
    const config = { host: 'localhost' }
    const made = await manager.initializeResource({ name: 'db', resourceType: 'seen', config })
    expect(made).toEqual({ name: 'db', isAborted: false })
    expect(initializer.mock.calls[0]?.[0]).toBe(config)
    expect(lines).toContainEqual({ level: 'warn', fields: { resource: 'db', port: 1 }, message: 'slow' })
  })

  it('is initialised once for all who ask at the same time', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const init = vi.fn(() => gate.promise)
    const behaviour = { init }
    const asked = Array.from({ length: 5 }, () => kit.init('db', behaviour))
    gate.resolve()
    const things = await Promise.all(asked)
    expect(init).toHaveBeenCalledTimes(1)
    expect(new Set(things).size).toBe(1)
  })

  it('is given again to whoever asks later, with the same settings or without any', async () => {
    const kit = new ResourceKit()
    const first = await kit.init('db', {}, { dependsOn: [] })
    await expect(kit.init('db')).resolves.toBe(first)
    await expect(kit.init('db', {}, { dependsOn: [], timeoutMs: 5 })).resolves.toBe(first)
    expect(kit.made).toHaveLength(1)
  })

  it.each<[string, Partial<InitializeResourceOptions>, string]>([
    ['another type', { resourceType: 'other' }, 'another type (thing)'],
    ['another config', { config: { host: 'b' } }, 'another `config`'],
    ['other dependencies', { dependsOn: ['base'] }, 'another `dependsOn`'],
  ])('is refused to whoever asks with %s, and its config is not told', async (_what, options, told) => {
    const kit = new ResourceKit()
    kit.manager.registerResourceType('other', () => 1)
    await kit.init('base')
    await kit.init('db', undefined, { config: { host: 'secret' } })
    const refused = kit.init('db', undefined, options)
    await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    await expect(refused).rejects.toThrow(told)
    await expect(refused).rejects.not.toThrow('secret')
    expect(kit.state('db')).toBe('running')
  })

  it('is initialised in no caller’s context', async () => {
    const kit = new ResourceKit()
    const storage = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    await storage.run('a request', () => kit.init('db', { init: () => void seen.push(storage.getStore()) }))
    expect(seen).toEqual([undefined])
  })

  it('is not disturbed by a listener that throws, which is logged', async () => {
    const kit = new ResourceKit()
    kit.manager.once('transition', () => {
      throw new Error('a listener')
    })
    await kit.init('db')
    expect(kit.state('db')).toBe('running')
    expect(kit.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'a listener of the application has thrown' }),
    )
  })
})

describe('an initializer that fails', () => {
  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('refused'))],
    [
      'throws',
      () => {
        throw new Error('refused')
      },
    ],
  ])('and %s puts its resource in error with the cause', async (_how, init) => {
    const kit = new ResourceKit()
    const error = await kit.init('db', { init }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_RESOURCE_INIT', cause: new Error('refused') })
    expect(error.message).toBe('resource db could not be initialised: refused')
    expect(kit.moves.at(-1)).toBe('db initializing>error')
    expect(kit.manager.listResources()[0]).toMatchObject({ state: 'error', cause: error })
    expect(kit.lines.at(-1)).toMatchObject({ level: 'error', fields: { to: 'error', err: error } })
    expect(() => kit.manager.getResource('db')).toThrow(/resource db is error: .*refused/)
  })

  it('is called again by a new call, which may come with other settings', async () => {
    const kit = new ResourceKit()
    await expect(kit.init('db', { init: () => Promise.reject(new Error('no')) })).rejects.toThrow('no')
    const thing = await kit.init('db', {})
    expect(kit.manager.getResource('db')).toBe(thing)
    expect(kit.moves).toContain('db error>initializing')
  })

  it('fails all who share it', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const asked = [kit.init('db', { init: () => gate.promise }), kit.init('db')].map(follow)
    gate.reject(new Error('no'))
    await turn()
    expect(asked.map(({ error }) => error?.code)).toEqual(['ERR_RESOURCE_INIT', 'ERR_RESOURCE_INIT'])
  })

  it('may throw what is no error', async () => {
    const kit = new ResourceKit()
    await expect(kit.init('db', { init: () => Promise.reject('plain') })).rejects.toThrow('plain')
  })
})

describe('an initializer that takes too long', () => {
  it('is given up at the limit, and its signal aborts', async () => {
    const kit = new ResourceKit()
    let signal: AbortSignal | undefined
    const init = (context: { signal: AbortSignal }): Promise<void> => {
      signal = context.signal
      return new Deferred().promise
    }
    const asked = follow(kit.init('db', { init }, { timeoutMs: 200 }))
    await vi.advanceTimersByTimeAsync(199)
    expect(asked.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(asked.error).toMatchObject({ code: 'ERR_RESOURCE_INIT' })
    expect(asked.error?.message).toContain('resource db was not initialised within 200 ms')
    expect(signal?.aborted).toBe(true)
    expect(signal?.reason).toBe(asked.error)
    expect(kit.state('db')).toBe('error')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('has what it makes later handed to the cleaner', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const asked = follow(kit.init('db', { init: () => gate.promise }, { timeoutMs: 10 }))
    await vi.advanceTimersByTimeAsync(10)
    expect(asked.error?.code).toBe('ERR_RESOURCE_INIT')
    gate.resolve()
    await turn()
    expect(kit.cleaned).toEqual(kit.made)
    expect(kit.made).toHaveLength(1)
    expect(kit.state('db')).toBe('error')
  })

  it('leaves the one that was made in its place alone', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    follow(kit.init('db', { init: () => gate.promise }, { timeoutMs: 10 }))
    await vi.advanceTimersByTimeAsync(10)
    const second = await kit.init('db', {})
    gate.resolve()
    await turn()
    expect(kit.cleaned).toHaveLength(1)
    expect(kit.cleaned).not.toContain(second)
    expect(kit.manager.getResource('db')).toBe(second)
  })

  it('may fail later without anybody hearing of it', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    follow(kit.init('db', { init: () => gate.promise }, { timeoutMs: 10 }))
    await vi.advanceTimersByTimeAsync(10)
    gate.reject(new Error('late'))
    await turn()
    expect(kit.cleaned).toEqual([])
  })

  it('has for ever with a limit of 0', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const asked = follow(kit.init('db', { init: () => gate.promise }, { timeoutMs: 0 }))
    await vi.advanceTimersByTimeAsync(10 * 24 * 3_600_000)
    expect(asked.isSettled).toBe(false)
    gate.resolve()
    await turn()
    expect(asked.value).toMatchObject({ name: 'db' })
  })

  it('is told in the log when the cleaner fails on what it made', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const clean = (): void => {
      throw new Error('stuck')
    }
    follow(kit.init('db', { init: () => gate.promise, clean }, { timeoutMs: 10 }))
    await vi.advanceTimersByTimeAsync(10)
    gate.resolve()
    await turn()
    expect(kit.lines.at(-1)).toMatchObject({ level: 'error', fields: { resource: 'db' } })
    expect(kit.lines.at(-1)?.message).toContain('late')
  })
})

describe('a resource that depends on others', () => {
  it('gets their values, and only those it names', async () => {
    const kit = new ResourceKit()
    const db = await kit.init('db')
    await kit.init('cache')
    const seen: unknown[] = []
    const init = vi.fn(({ resource }) => {
      seen.push(resource('db'))
      expect(() => resource('cache')).toThrow(errors.ERR_RESOURCE_NOT_FOUND)
    })
    await kit.init('app', { init }, { dependsOn: ['db', 'db'] })
    expect(seen).toEqual([db])
    expect(kit.manager.listResources().at(-1)).toMatchObject({ name: 'app', dependsOn: ['db'] })
  })

  it('waits for those that are being initialised', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const db = follow(kit.init('db', { init: () => gate.promise }))
    const seen: unknown[] = []
    const app = follow(
      kit.init('app', { init: ({ resource }) => void seen.push(resource('db')) }, { dependsOn: ['db'] }),
    )
    await turn()
    expect(seen).toEqual([])
    gate.resolve()
    await turn()
    expect(app.value).toMatchObject({ name: 'app' })
    expect(seen).toEqual([db.value])
  })

  it('fails with those that fail, and names them', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    const db = follow(kit.init('db', { init: () => gate.promise }))
    const app = follow(kit.init('app', {}, { dependsOn: ['db'] }))
    gate.reject(new Error('refused'))
    await turn()
    expect(app.error).toMatchObject({ code: 'ERR_RESOURCE_INIT', cause: db.error })
    expect(app.error?.message).toMatch(/resource app .* because db, which it depends on, was not: .*refused/)
    expect(kit.state('app')).toBe('error')
  })

  it('waits for them no longer than its limit', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    follow(kit.init('db', { init: () => gate.promise }))
    const app = follow(kit.init('app', {}, { dependsOn: ['db'], timeoutMs: 50 }))
    await vi.advanceTimersByTimeAsync(50)
    expect(app.error?.message).toContain('resource app was not initialised within 50 ms')
    gate.resolve()
    await turn()
    expect(kit.state('db')).toBe('running')
    expect(kit.made).toHaveLength(1)
  })

  it('is refused when one is not known, and is not known itself then', async () => {
    const kit = new ResourceKit()
    const refused = kit.init('app', {}, { dependsOn: ['db'] })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_RESOURCE_NOT_FOUND' })
    await expect(refused).rejects.toThrow('resource app depends on "db", which is unknown')
    expect(kit.manager.listResources()).toEqual([])
  })

  it('is refused when one is in error or stopped, and keeps its state', async () => {
    const kit = new ResourceKit()
    await expect(kit.init('db', { init: () => Promise.reject(new Error('no')) })).rejects.toThrow('no')
    await expect(kit.init('app', {}, { dependsOn: ['db'] })).rejects.toMatchObject({
      code: 'ERR_RESOURCE_INIT',
      message: expect.stringContaining('depends on db, which is error'),
      cause: { code: 'ERR_RESOURCE_INIT' },
    })
    await kit.init('db', {})
    await kit.init('app', {}, { dependsOn: ['db'] })
    await kit.manager.cleanupResource('db')
    await expect(kit.init('app', {}, { dependsOn: ['db'] })).rejects.toThrow(
      'depends on db, which is stopped',
    )
    expect(kit.state('app')).toBe('stopped')
  })

  it('cannot depend on itself, nor close a circle', async () => {
    const kit = new ResourceKit()
    await expect(kit.init('a', {}, { dependsOn: ['a'] })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
    })
    await kit.init('a', {})
    await kit.init('b', {}, { dependsOn: ['a'] })
    await expect(kit.init('a', {}, { dependsOn: ['b'] })).rejects.toThrow('another `dependsOn`')
    await kit.manager.cleanupAll()
    await expect(kit.init('a', {}, { dependsOn: ['b'] })).rejects.toThrow('depends on b, which is stopped')
  })
})

describe('what is not known or not valid', () => {
  it('is refused, with what is known', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await expect(kit.init('x', {}, { resourceType: 'nope' })).rejects.toMatchObject({
      code: 'ERR_RESOURCE_NOT_FOUND',
      message: expect.stringContaining('known: thing'),
    })
    expect(() => kit.manager.getResource('x')).toThrow(/no resource "x"; known: db/)
    await expect(kit.manager.cleanupResource('x')).rejects.toThrow(errors.ERR_RESOURCE_NOT_FOUND)
    await expect(kit.manager.checkResourceHealth('x')).rejects.toThrow(errors.ERR_RESOURCE_NOT_FOUND)
  })

  it.each([
    [{ name: '' }, '`name` is ""'],
    [{ name: 'x'.repeat(201) }, '`name`'],
    [{ resourceType: 3 }, '`resourceType` is 3'],
    [{ dependsOn: 'db' }, '`dependsOn` is "db"'],
    [{ timeoutMs: -1 }, '`timeoutMs` is -1'],
    [{ retry: true }, '`retry` is true'],
    [{ retry: { attempts: 0 } }, '`retry.attempts` is 0'],
    [{ retry: { factor: 0.5 } }, '`retry.factor` is 0.5'],
    [
      { retry: { minDelayMs: 10, maxDelayMs: 5 } },
      '`retry.maxDelayMs` is 5: must not be less than `minDelayMs`',
    ],
    [{ retry: { forever: true } }, '`retry` has no option `forever`'],
    [{ type: 'thing' }, 'it has no option `type`'],
  ])('as options %o is refused with path, value and rule', async (options, told) => {
    const kit = new ResourceKit()
    const refused = kit.init('db', {}, options as Partial<InitializeResourceOptions>)
    await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    await expect(refused).rejects.toThrow(`initializeResource: ${told}`)
  })

  it('as a manager’s option is refused', () => {
    const make = (options: object) => () => new ResourceLifecycleManager(options)
    expect(make({ cleanupTimeoutMs: -1 })).toThrow('ResourceLifecycleManager: `cleanupTimeoutMs` is -1')
    expect(make({ healthTimeoutMs: 'x' })).toThrow('`healthTimeoutMs` is "x"')
    expect(make({ timeoutMs: 1 })).toThrow('it has no option `timeoutMs`')
    expect(make({ logLevel: 'silent' })).not.toThrow()
  })

  it('as a type is refused: no name, no function, or a name that is taken', () => {
    const { manager } = new ResourceKit()
    const make = (): number => 1
    expect(() => manager.registerResourceType('', make)).toThrow('non-empty string')
    expect(() => manager.registerResourceType('a', undefined as never)).toThrow(
      'the initializer of "a" is not',
    )
    expect(() => manager.registerResourceType('a', make, 3 as never)).toThrow('the cleaner of "a" is not')
    expect(() => manager.registerResourceType('a', make, undefined, 3 as never)).toThrow(
      'the healthChecker of',
    )
    expect(() => manager.registerResourceType('thing', make)).toThrow(
      'the type "thing" is registered already',
    )
    expect(() => manager.registerResourceType('a', make, undefined, undefined)).not.toThrow()
  })
})
