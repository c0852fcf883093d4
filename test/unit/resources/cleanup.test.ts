import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { follow, turn } from '../../support/pool-harness.js'
import { Deferred, ResourceKit } from '../../support/resource-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const never = (): Promise<void> => new Deferred().promise
const fails = (): Promise<void> => Promise.reject(new Error('stuck'))

describe('a cleanup', () => {
  it('hands the resource to the cleaner, once, and takes it away', async () => {
    const kit = new ResourceKit()
    const thing = await kit.init('db')
    await kit.manager.cleanupResource('db')
    expect(kit.cleaned).toEqual([thing])
    expect(kit.moves.slice(-2)).toEqual(['db running>stopping', 'db stopping>stopped'])
    expect(() => kit.manager.getResource('db')).toThrow('resource db is stopped')
    await kit.manager.cleanupResource('db')
    await kit.manager.cleanupAll()
    expect(kit.cleaned).toEqual([thing])
  })

  it('tells the cleaner how long it has, and by its signal that the time is over', async () => {
    const kit = new ResourceKit()
    const clean = vi.fn((_context: { name: string; signal: AbortSignal; timeoutMs: number }) => never())
    await kit.init('db', { clean })
    const cleaning = follow(kit.manager.cleanupResource('db', { timeoutMs: 300 }))
    await turn()
    const context = clean.mock.calls[0]?.[0]
    expect(context).toMatchObject({ name: 'db', timeoutMs: 300 })
    expect(context?.signal.aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(300)
    expect(context?.signal.aborted).toBe(true)
    expect(cleaning.error?.code).toBe('ERR_SHUTDOWN')
  })

  it('of a type without a cleaner has nothing to do', async () => {
    const { manager } = new ResourceKit()
    manager.registerResourceType('plain', () => 1)
    await manager.initializeResource({ name: 'n', resourceType: 'plain' })
    await expect(manager.cleanupResource('n')).resolves.toBeUndefined()
  })

  it('is shared by all who ask for it at the same time', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db', { clean: () => gate.promise })
    const { manager } = kit
    const asked = [manager.cleanupResource('db'), manager.cleanupAll(), manager.cleanupResource('db')].map(
      follow,
    )
    await turn()
    expect(asked.map(({ isSettled }) => isSettled)).toEqual([false, false, false])
    gate.resolve()
    await turn()
    expect(asked.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
    expect(asked.every(({ isSettled }) => isSettled)).toBe(true)
    expect(kit.cleaned).toHaveLength(1)
  })

  it('is shared by a listener that asks for it on the way, too', async () => {
    const kit = new ResourceKit()
    await kit.init('a')
    await kit.init('b')
    const asked: Promise<void>[] = []
    kit.manager.on('transition', ({ to }) => {
      if (to === 'stopping') asked.push(kit.manager.cleanupAll(), kit.manager.cleanupResource('a'))
    })
    await kit.manager.cleanupAll()
    await Promise.all(asked)
    expect(kit.cleanedNames).toEqual(['b', 'a'])
    expect(kit.state('a')).toBe('stopped')
  })

  it('lets the name be initialised again afterwards, and not meanwhile', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db', { clean: () => gate.promise })
    const cleaning = kit.manager.cleanupResource('db')
    await expect(kit.init('db')).rejects.toMatchObject({ code: 'ERR_RESOURCE_INIT', retryable: true })
    await expect(kit.init('app', {}, { dependsOn: ['db'] })).rejects.toThrow(
      'depends on db, which is stopping',
    )
    gate.resolve()
    await cleaning
    const second = await kit.init('db')
    expect(kit.manager.getResource('db')).toBe(second)
    expect(kit.moves.filter((move) => move.startsWith('db stopp'))).toEqual([
      'db stopping>stopped',
      'db stopped>initializing',
    ])
  })

  it('leaves a resource that a listener initialises again at once alone', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    let again: ReturnType<ResourceKit['init']> | undefined
    kit.manager.on('transition', ({ to }) => {
      if (to === 'stopped' && again === undefined) again = kit.init('db')
    })
    await kit.manager.cleanupResource('db')
    await again
    expect(kit.state('db')).toBe('running')
    await kit.manager.cleanupResource('db')
    expect(kit.cleaned).toEqual(kit.made)
    expect(kit.made).toHaveLength(2)
  })

  it.each(['ready', 'starting', 'running'])(
    'can be asked for by a listener that hears of %s',
    async (state) => {
      const kit = new ResourceKit()
      kit.manager.on('transition', ({ to }) => {
        if (to === state) void kit.manager.cleanupResource('db')
      })
      await kit.init('db').catch(() => undefined)
      await turn()
      expect(kit.state('db')).toBe('stopped')
      expect(kit.cleaned).toEqual(kit.made)
      expect(kit.cleaned).toHaveLength(1)
    },
  )

  it('refuses options it does not know', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    const { manager } = kit
    await expect(manager.cleanupResource('db', { timeout: 1 } as object)).rejects.toThrow(
      'no option `timeout`',
    )
    await expect(manager.cleanupAll({ timeoutMs: -1 })).rejects.toThrow('cleanupAll: `timeoutMs` is -1')
    await expect(manager.close({ timeoutMs: -1 })).rejects.toThrow('close: `timeoutMs` is -1')
    expect(kit.state('db')).toBe('running')
  })
})

describe('a cleaner that fails', () => {
  it('puts its resource in error, and is not called again', async () => {
    const kit = new ResourceKit()
    await kit.init('db', { clean: fails })
    const error = await kit.manager.cleanupResource('db').catch((reason) => reason)
    expect(error).toMatchObject({
      code: 'ERR_SHUTDOWN',
      message: 'the cleaner of resource db failed: stuck',
      cause: new Error('stuck'),
    })
    expect(kit.manager.listResources()[0]).toMatchObject({ state: 'error', cause: error })
    await kit.manager.cleanupResource('db')
    expect(kit.state('db')).toBe('stopped')
    expect(kit.cleaned).toHaveLength(1)
  })

  it('and hangs is left to itself at the limit', async () => {
    const kit = new ResourceKit({ cleanupTimeoutMs: 500 })
    await kit.init('db', { clean: never })
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await vi.advanceTimersByTimeAsync(499)
    expect(cleaning.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(cleaning.error?.message).toBe(
      'the cleaner of resource db has not returned within 500 ms; it was abandoned',
    )
    expect(kit.state('db')).toBe('error')
  })
})

describe('a resource that others depend on', () => {
  it('is cleaned up after them and theirs, and nothing else is', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await kit.init('other')
    await kit.init('users', {}, { dependsOn: ['db'] })
    await kit.init('app', {}, { dependsOn: ['users'] })
    await kit.init('jobs', {}, { dependsOn: ['db'] })
    await kit.manager.cleanupResource('db')
    expect(kit.cleanedNames).toEqual(['jobs', 'app', 'users', 'db'])
    expect(kit.state('other')).toBe('running')
  })

  it('is stopping before the first of them is, so that nobody comes to depend on it', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db')
    await kit.init('app', { clean: () => gate.promise }, { dependsOn: ['db'] })
    const cleaning = kit.manager.cleanupResource('db')
    await turn()
    expect(kit.cleanedNames).toEqual(['app'])
    expect(kit.state('db')).toBe('stopping')
    await expect(kit.init('late', {}, { dependsOn: ['db'] })).rejects.toThrow('which is stopping')
    gate.resolve()
    await cleaning
  })

  it('is cleaned up even if theirs fails, which is told', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await kit.init('app', { clean: fails }, { dependsOn: ['db'] })
    await expect(kit.manager.cleanupResource('db')).rejects.toThrow(
      'the cleaner of resource app failed: stuck',
    )
    expect(kit.cleanedNames).toEqual(['app', 'db'])
    expect(kit.state('app')).toBe('error')
    expect(kit.state('db')).toBe('stopped')
  })

  it('waits for those that are still being initialised to come to their end', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db')
    const app = follow(kit.init('app', { init: () => gate.promise }, { dependsOn: ['db'] }))
    await turn()
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await turn()
    expect(app.error?.message).toBe('resource app was cleaned up while it was being initialised')
    expect(cleaning.isSettled).toBe(false)
    expect(kit.cleaned).toEqual([])
    gate.resolve()
    await turn()
    expect(cleaning.isSettled).toBe(true)
    expect(kit.cleanedNames).toEqual(['app', 'db'])
  })

  it('waits for what a dependent that was given up may still make of it', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db')
    follow(kit.init('app', { init: () => gate.promise }, { dependsOn: ['db'], timeoutMs: 10 }))
    await vi.advanceTimersByTimeAsync(10)
    expect(kit.state('app')).toBe('error')
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await turn()
    expect(kit.cleaned).toEqual([])
    gate.resolve()
    await turn()
    expect(cleaning.isSettled).toBe(true)
    expect(kit.cleanedNames).toEqual(['app', 'db'])
  })
})

describe('a resource that is being initialised', () => {
  it('is aborted by a cleanup: callers hear at once, what it still makes is cleaned up', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    let signal: AbortSignal | undefined
    const init = (context: { signal: AbortSignal }): Promise<void> => {
      signal = context.signal
      return gate.promise
    }
    const asked = follow(kit.init('db', { init }))
    await turn()
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await turn()
    expect(asked.error).toMatchObject({ code: 'ERR_RESOURCE_INIT' })
    expect(signal?.aborted).toBe(true)
    expect(kit.state('db')).toBe('stopping')
    expect(cleaning.isSettled).toBe(false)
    gate.resolve()
    await turn()
    expect(cleaning).toMatchObject({ isSettled: true })
    expect(kit.cleaned).toEqual(kit.made)
    expect(kit.state('db')).toBe('stopped')
  })

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15])(
    'is cleaned up once when the initializer returns %i microtasks before the cleanup',
    async (microtasks) => {
      const kit = new ResourceKit()
      const gate = new Deferred()
      follow(kit.init('db', { init: () => gate.promise }))
      await turn()
      gate.resolve()
      for (let passed = 0; passed < microtasks; passed += 1) await undefined
      await kit.manager.cleanupResource('db')
      expect(kit.made).toHaveLength(1)
      expect(kit.cleaned).toEqual(kit.made)
      expect(kit.state('db')).toBe('stopped')
    },
  )

  it('is given up at the limit of the cleanup if the initializer does not return, and cleaned up whenever it does', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    follow(kit.init('db', { init: () => gate.promise }))
    await turn()
    const cleaning = follow(kit.manager.cleanupResource('db', { timeoutMs: 100 }))
    await vi.advanceTimersByTimeAsync(100)
    expect(cleaning.error).toMatchObject({ code: 'ERR_SHUTDOWN' })
    expect(cleaning.error?.message).toContain('an aborted initializer of resource db has not returned')
    expect(kit.state('db')).toBe('error')
    gate.resolve()
    await turn()
    expect(kit.cleaned).toEqual(kit.made)
    await kit.manager.cleanupAll()
    expect(kit.state('db')).toBe('stopped')
  })

  it('does not wait for its next attempt when it is cleaned up', async () => {
    const kit = new ResourceKit()
    const retry = { attempts: 9, minDelayMs: 5_000 }
    const asked = follow(kit.init('db', { init: fails }, { retry }))
    await turn()
    await kit.manager.cleanupResource('db')
    await turn()
    expect(asked.error?.message).toContain('was cleaned up while it was being initialised')
    expect(kit.state('db')).toBe('stopped')
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a cleanup of everything', () => {
  it('goes in the reverse order of initialisation, one after another', async () => {
    const kit = new ResourceKit()
    const slow = new Deferred()
    const a = new Deferred()
    const b = new Deferred()
    const c = new Deferred()
    const first = kit.init('a', { init: () => slow.promise, clean: () => a.promise })
    await kit.init('b', { clean: () => b.promise })
    await kit.init('c', { clean: () => c.promise })
    // Called first, initialised last.
    slow.resolve()
    await first
    const cleaning = follow(kit.manager.cleanupAll())
    for (const [name, gate] of Object.entries({ a, c, b })) {
      await turn()
      expect(kit.cleanedNames.at(-1)).toBe(name)
      expect(cleaning.isSettled).toBe(false)
      gate.resolve()
    }
    await turn()
    expect(cleaning.isSettled).toBe(true)
    expect(kit.cleanedNames).toEqual(['a', 'c', 'b'])
  })

  it('calls every cleaner, and tells all that failed', async () => {
    const kit = new ResourceKit({ cleanupTimeoutMs: 100 })
    await kit.init('a', { clean: fails })
    await kit.init('b')
    await kit.init('c', { clean: never })
    const cleaning = follow(kit.manager.cleanupAll())
    await vi.advanceTimersByTimeAsync(100)
    expect(kit.cleanedNames).toEqual(['c', 'b', 'a'])
    expect(cleaning.error?.code).toBe('ERR_SHUTDOWN')
    const cause = cleaning.error?.cause as AggregateError
    expect(cause).toBeInstanceOf(AggregateError)
    expect(cause.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('the cleaner of resource c has not returned within 100 ms'),
      'the cleaner of resource a failed: stuck',
    ])
    for (const { message } of cause.errors) expect(cleaning.error?.message).toContain(message)
    expect(['a', 'b', 'c'].map((name) => kit.state(name))).toEqual(['error', 'stopped', 'error'])
  })

  it('has an AggregateError as its cause for a single failure, too', async () => {
    const kit = new ResourceKit()
    await kit.init('a', { clean: fails })
    const error = await kit.manager.cleanupAll().catch((reason) => reason)
    expect(error.cause).toBeInstanceOf(AggregateError)
    expect(error.cause.errors).toHaveLength(1)
  })

  it('keeps to its limit: the cleaners that are left then are called, not waited for', async () => {
    const kit = new ResourceKit()
    await kit.init('a')
    await kit.init('b', { clean: never })
    await kit.init('c', { clean: never })
    const cleaning = follow(kit.manager.cleanupAll({ timeoutMs: 100 }))
    await vi.advanceTimersByTimeAsync(99)
    expect(cleaning.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(5)
    expect(kit.cleanedNames).toEqual(['c', 'b', 'a'])
    const cause = cleaning.error?.cause as AggregateError
    expect(cause.errors).toHaveLength(2)
    expect(kit.state('a')).toBe('stopped')
  })

  it('keeps to its limit when an earlier cleanup has more time', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db', { clean: () => gate.promise })
    const earlier = follow(kit.manager.cleanupResource('db'))
    const later = follow(kit.manager.cleanupAll({ timeoutMs: 50 }))
    await vi.advanceTimersByTimeAsync(50)
    expect(later.error?.message).toContain('resource db is not cleaned up within 50 ms')
    expect(earlier.isSettled).toBe(false)
    gate.resolve()
    await turn()
    expect(earlier).toMatchObject({ isSettled: true })
    expect(kit.state('db')).toBe('stopped')
  })

  it('calls what an earlier cleanup has not come to when its own limit is over, before what that depends on', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await kit.init('users', {}, { dependsOn: ['db'] })
    await kit.init('app', { clean: never }, { dependsOn: ['users'] })
    const earlier = follow(kit.manager.cleanupResource('users'))
    await turn()
    expect(kit.cleanedNames).toEqual(['app'])
    const later = follow(kit.manager.cleanupAll({ timeoutMs: 50 }))
    await vi.advanceTimersByTimeAsync(60)
    expect(kit.cleanedNames).toEqual(['app', 'users', 'db'])
    expect(later.error?.code).toBe('ERR_SHUTDOWN')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(earlier.error?.message).toContain('the cleaner of resource app has not returned within 10000 ms')
    expect(kit.cleanedNames).toEqual(['app', 'users', 'db'])
  })

  it('brings those in error to stopped, and finds nothing to do where there is nothing', async () => {
    const kit = new ResourceKit()
    await kit.manager.cleanupAll()
    follow(kit.init('db', { init: fails }))
    await turn()
    await kit.manager.cleanupAll()
    expect(kit.state('db')).toBe('stopped')
    expect(kit.cleaned).toEqual([])
  })

  it('leaves the manager usable', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await kit.manager.cleanupAll()
    await kit.init('db')
    expect(kit.state('db')).toBe('running')
  })
})

describe('a manager that is closed', () => {
  it('is held to a limit that comes later', async () => {
    const kit = new ResourceKit()
    await kit.init('a')
    await kit.init('b', { clean: never })
    const patient = follow(kit.manager.close())
    await turn()
    const hasty = follow(kit.manager.close({ timeoutMs: 50 }))
    await vi.advanceTimersByTimeAsync(50)
    expect(hasty.error?.code).toBe('ERR_SHUTDOWN')
    expect(kit.cleanedNames).toEqual(['b', 'a'])
    await vi.advanceTimersByTimeAsync(20_000)
    expect(patient.isSettled).toBe(true)
  })

  it('has cleaned up everything and initialises nothing more', async () => {
    const kit = new ResourceKit()
    const gate = new Deferred()
    await kit.init('db')
    const slow = follow(kit.init('slow', { init: () => gate.promise }))
    await turn()
    const closing = kit.manager.close()
    const again = kit.manager.close({ timeoutMs: 1 })
    await expect(kit.init('late')).rejects.toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    gate.resolve()
    await Promise.all([closing, again])
    expect(slow.error?.code).toBe('ERR_RESOURCE_INIT')
    expect(kit.cleanedNames.sort()).toEqual(['db', 'slow'])
    await expect(kit.init('db')).rejects.toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
  })

  it('lets no listener slip something in', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    const late: Promise<unknown>[] = []
    kit.manager.on('transition', ({ to }) => {
      if (to === 'stopping') late.push(kit.init('late'))
    })
    await kit.manager.close()
    await expect(late[0]).rejects.toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(kit.made).toHaveLength(1)
  })

  it('is closed at the end of an await using block', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await kit.manager[Symbol.asyncDispose]()
    expect(kit.state('db')).toBe('stopped')
  })
})
