import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PooledResourceOptions } from '../../../../src/resources/pooled/pool-options.js'
import type { PooledResource } from '../../../../src/resources/pooled/pooled-resource.js'
import { pooledResourceType } from '../../../../src/resources/pooled/pooled-resource-type.js'
import { follow, turn } from '../../../support/pool-harness.js'
import { Deferred, ResourceKit } from '../../../support/resource-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Item {
  readonly serial: number
  isBroken: boolean
}

type Options = Partial<PooledResourceOptions<Item, unknown>>

/** A manager with one pool, `db`, and a record of its items. */
class ItemKit extends ResourceKit {
  readonly items: Item[] = []
  readonly destroyed: Item[] = []
  pool!: PooledResource<Item>

  static async open(options: Options = {}): Promise<ItemKit> {
    const kit = new ItemKit()
    await kit.start(options)
    return kit
  }

  make(): Item {
    const item = { serial: this.items.length + 1, isBroken: false }
    this.items.push(item)
    return item
  }

  async start(options: Options = {}): Promise<void> {
    this.manager.registerResourceType(
      'pool',
      ...pooledResourceType<Item>({
        create: () => this.make(),
        destroy: (item) => void this.destroyed.push(item),
        max: 2,
        ...options,
      }),
    )
    this.pool = await this.manager.initializeResource<PooledResource<Item>>({
      name: 'db',
      resourceType: 'pool',
      config: { host: 'h' },
    })
  }

  /** The pool's items, all in use. */
  async takeAll(): Promise<Item[]> {
    const { max, used } = this.pool.stats()
    return Promise.all(Array.from({ length: max - used }, () => this.pool.acquire()))
  }

  async health(): Promise<string> {
    const { status, error } = await this.manager.checkResourceHealth('db')
    return error === undefined ? status : `${status}: ${error}`
  }
}

describe('a pool', () => {
  it('makes items when they are needed, up to its maximum, and keeps them', async () => {
    const kit = await ItemKit.open()
    const { pool } = kit
    expect(pool.stats()).toEqual({ min: 0, max: 2, used: 0, free: 0, pending: 0 })
    const [first, second] = await kit.takeAll()
    expect(pool.stats()).toEqual({ min: 0, max: 2, used: 2, free: 0, pending: 0 })
    const third = follow(pool.acquire())
    await turn()
    expect(pool.stats()).toMatchObject({ used: 2, pending: 1 })
    pool.release(second as Item)
    await turn()
    expect(third.value).toBe(second)
    for (const item of [first, second]) pool.release(item as Item)
    expect(pool.stats()).toEqual({ min: 0, max: 2, used: 0, free: 2, pending: 0 })
    expect(kit.items).toHaveLength(2)
  })

  it('hands create its config, the name, a signal and the values of its dependencies', async () => {
    const kit = new ItemKit()
    kit.manager.registerResourceType('secret', () => 'hush')
    await kit.manager.initializeResource({ name: 'vault', resourceType: 'secret' })
    const create = vi.fn((_config: unknown, { resource }: { resource(name: string): unknown }) => ({
      password: resource('vault'),
    }))
    kit.manager.registerResourceType('pool', ...pooledResourceType({ create, destroy: () => undefined }))
    const pool = await kit.manager.initializeResource<PooledResource<{ password: string }>>({
      name: 'db',
      resourceType: 'pool',
      config: { host: 'h' },
      dependsOn: ['vault'],
    })
    expect(await pool.acquire()).toEqual({ password: 'hush' })
    expect(create).toHaveBeenCalledWith(
      { host: 'h' },
      { name: 'db', signal: expect.any(AbortSignal), resource: expect.any(Function) },
    )
  })

  it('makes its minimum at the start, and fails when it cannot, with nothing left behind', async () => {
    const kit = await ItemKit.open({ min: 2 })
    expect(kit.pool.stats()).toMatchObject({ free: 2, used: 0 })
    const other = new ItemKit()
    let calls = 0
    const create = (): Item => {
      calls += 1
      if (calls === 2) throw new Error('refused')
      return other.make()
    }
    await expect(other.start({ min: 2, create })).rejects.toMatchObject({
      code: 'ERR_RESOURCE_INIT',
      message: 'resource db could not be initialised: pool db could not make an item: refused',
    })
    expect(other.state('db')).toBe('error')
    expect(other.destroyed).toEqual(other.items)
  })

  it('serves callers in the order they came', async () => {
    const kit = await ItemKit.open({ max: 1 })
    const [item] = await kit.takeAll()
    const order: number[] = []
    const asked = [1, 2, 3].map(async (caller) => {
      const mine = await kit.pool.acquire()
      order.push(caller)
      kit.pool.release(mine)
    })
    kit.pool.release(item as Item)
    await Promise.all(asked)
    expect(order).toEqual([1, 2, 3])
  })

  it('destroys items that nobody uses, down to its minimum', async () => {
    const kit = await ItemKit.open({ min: 1, max: 3, idleTimeoutMs: 5_000 })
    for (const item of await kit.takeAll()) kit.pool.release(item)
    await vi.advanceTimersByTimeAsync(4_900)
    expect(kit.destroyed).toEqual([])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(kit.destroyed).toHaveLength(2)
    expect(kit.pool.stats()).toMatchObject({ free: 1 })
  })

  it('keeps items for ever with an idle time of 0', async () => {
    const kit = await ItemKit.open({ idleTimeoutMs: 0 })
    for (const item of await kit.takeAll()) kit.pool.release(item)
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(kit.destroyed).toEqual([])
  })

  it('hands out items that are falsy', async () => {
    const { manager } = new ResourceKit()
    manager.registerResourceType('zero', ...pooledResourceType({ create: () => 0, destroy: () => undefined }))
    const pool = await manager.initializeResource<PooledResource<number>>({ name: 'z', resourceType: 'zero' })
    expect(await pool.use((item) => item)).toBe(0)
  })

  it('refuses an item that it has already', async () => {
    const kit = await ItemKit.open({ create: () => kit.items[0] ?? kit.make() })
    await kit.pool.acquire()
    await expect(kit.pool.acquire()).rejects.toMatchObject({
      code: 'ERR_RESOURCE_INIT',
      message: expect.stringContaining('an item that is in the pool already'),
    })
  })

  it('makes items in no caller’s context', async () => {
    const storage = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const kit = await ItemKit.open({
      create: () => {
        seen.push(storage.getStore())
        return kit.make()
      },
    })
    await storage.run('a request', () => kit.pool.use(() => seen.push(storage.getStore())))
    expect(seen).toEqual([undefined, 'a request'])
  })
})

describe('use', () => {
  it('answers with what the function answers, and gives the item back', async () => {
    const kit = await ItemKit.open()
    const gate = new Deferred<string>()
    const asked = follow(kit.pool.use(({ serial }) => gate.promise.then((word) => `${word} ${serial}`)))
    await turn()
    expect(kit.pool.stats()).toMatchObject({ used: 1 })
    gate.resolve('item')
    await turn()
    expect(asked.value).toBe('item 1')
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 1 })
  })

  it('gives the item back when the function throws or rejects, and passes that on', async () => {
    const kit = await ItemKit.open()
    const boom = (): never => {
      throw new Error('boom')
    }
    await expect(kit.pool.use(boom)).rejects.toThrow('boom')
    await expect(kit.pool.use(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await turn()
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 1 })
    expect(kit.destroyed).toEqual([])
  })

  it('destroys the item when it is broken after a failure, without letting the caller wait', async () => {
    const verdict = new Deferred<boolean>()
    const kit = await ItemKit.open({ validate: ({ isBroken }) => (isBroken ? verdict.promise : true) })
    const asked = kit.pool.use((item) => {
      item.isBroken = true
      throw new Error('connection lost')
    })
    await expect(asked).rejects.toThrow('connection lost')
    expect(kit.pool.stats()).toMatchObject({ used: 1 })
    verdict.resolve(false)
    await turn()
    expect(kit.destroyed).toEqual(kit.items)
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 0 })
    const next = follow(kit.pool.use(({ serial }) => serial))
    await vi.advanceTimersByTimeAsync(5)
    expect(next.value).toBe(2)
  })

  it('may be told by the function that it has given the item back itself', async () => {
    const kit = await ItemKit.open()
    await kit.pool.use((item) => kit.pool.release(item, { isBroken: true }))
    await turn()
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 0 })
    expect(kit.destroyed).toHaveLength(1)
  })
})

describe('release', () => {
  it('refuses what is no item in use', async () => {
    const kit = await ItemKit.open()
    const [item] = (await kit.takeAll()) as [Item]
    kit.pool.release(item)
    for (const wrong of [item, { serial: 9, isBroken: false }]) {
      expect(() => kit.pool.release(wrong)).toThrow(/not an item in use of pool db/)
    }
    expect(() => kit.pool.release(item, { broken: true } as object)).toThrow('no option `broken`')
    expect(kit.pool.stats()).toMatchObject({ used: 1, free: 1 })
  })

  it('destroys an item that its user calls broken, and makes another one for who waits', async () => {
    const kit = await ItemKit.open({ max: 1 })
    const [item] = (await kit.takeAll()) as [Item]
    const waiting = follow(kit.pool.acquire())
    kit.pool.release(item, { isBroken: true })
    await vi.advanceTimersByTimeAsync(5)
    expect(kit.destroyed).toEqual([item])
    expect(waiting.value).toMatchObject({ serial: 2 })
  })
})

describe('an item that cannot be used any more', () => {
  it.each<[string, PooledResourceOptions<Item>['validate']]>([
    ['says no', ({ isBroken }) => !isBroken],
    ['says no in a while', async ({ isBroken }) => !isBroken],
    [
      'throws',
      ({ isBroken }) => {
        if (isBroken) throw new Error('dead')
        return true
      },
    ],
    ['does not answer', ({ isBroken }) => (isBroken ? new Deferred<boolean>().promise : true)],
  ])('is replaced when validate %s', async (_how, validate) => {
    const kit = await ItemKit.open({ validate, validateTimeoutMs: 100 })
    for (const item of await kit.takeAll()) kit.pool.release(item)
    for (const item of kit.items) item.isBroken = true
    const asked = follow(kit.pool.acquire())
    await vi.advanceTimersByTimeAsync(300)
    expect(asked.value).toMatchObject({ serial: 3 })
    expect(kit.destroyed).toHaveLength(2)
  })

  it('that cannot be destroyed is told in the log, and does no harm', async () => {
    const kit = await ItemKit.open({ destroy: () => Promise.reject(new Error('busy')) })
    const item = await kit.pool.acquire()
    kit.pool.release(item, { isBroken: true })
    await turn()
    expect(kit.lines.at(-1)).toMatchObject({ level: 'warn', fields: { resource: 'db' } })
    const next = follow(kit.pool.use(({ serial }) => serial))
    await vi.advanceTimersByTimeAsync(5)
    expect(next.value).toBe(2)
  })
})

describe('a caller that waits for an item', () => {
  it('is refused at its deadline, and the next item goes to the next', async () => {
    const kit = await ItemKit.open({ max: 1, acquireTimeoutMs: 1_000 })
    const [item] = (await kit.takeAll()) as [Item]
    const hasty = follow(kit.pool.acquire({ timeoutMs: 100 }))
    const patient = follow(kit.pool.acquire())
    await vi.advanceTimersByTimeAsync(100)
    expect(hasty.error).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'queued', retryable: true })
    expect(hasty.error?.message).toContain('pool db had no free item before the deadline (100 ms)')
    expect(kit.pool.stats()).toMatchObject({ pending: 1 })
    kit.pool.release(item)
    await turn()
    expect(patient.value).toBe(item)
    const late = follow(kit.pool.acquire())
    await vi.advanceTimersByTimeAsync(1_000)
    expect(late.error?.message).toContain('(1000 ms)')
  })

  it('with no time at all gets an item that is free', async () => {
    const kit = await ItemKit.open()
    await expect(kit.pool.acquire({ timeoutMs: 0 })).resolves.toMatchObject({ serial: 1 })
  })

  it('leaves when its signal aborts', async () => {
    const kit = await ItemKit.open({ max: 1 })
    await kit.takeAll()
    const controller = new AbortController()
    const asked = follow(kit.pool.acquire({ signal: controller.signal }))
    const reason = new Error('gone home')
    controller.abort(reason)
    await turn()
    expect(asked.error).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', cause: reason })
    expect(kit.pool.stats()).toMatchObject({ pending: 0 })
    await expect(kit.pool.acquire({ signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    })
    const timeout = new DOMException('too late', 'TimeoutError')
    await expect(kit.pool.use(() => 1, { signal: AbortSignal.abort(timeout) })).rejects.toMatchObject({
      code: 'ERR_DEADLINE_EXCEEDED',
      cause: timeout,
    })
  })

  it('that leaves while an item is made for it lets the next have that', async () => {
    const gate = new Deferred()
    const kit = await ItemKit.open({ max: 1, create: () => gate.promise.then(() => kit.make()) })
    const first = follow(kit.pool.acquire({ timeoutMs: 10 }))
    const second = follow(kit.pool.acquire())
    await vi.advanceTimersByTimeAsync(10)
    expect(first.error?.code).toBe('ERR_DEADLINE_EXCEEDED')
    gate.resolve()
    await turn()
    expect(second.value).toBe(kit.items[0])
    kit.pool.release(kit.items[0] as Item)
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 1 })
  })

  it('that leaves last while an item is made for it leaves that to the pool', async () => {
    const gate = new Deferred()
    const kit = await ItemKit.open({ create: () => gate.promise.then(() => kit.make()) })
    const asked = follow(kit.pool.acquire({ timeoutMs: 10 }))
    await vi.advanceTimersByTimeAsync(10)
    gate.resolve()
    await turn()
    expect(asked.error?.code).toBe('ERR_DEADLINE_EXCEEDED')
    expect(kit.pool.stats()).toEqual({ min: 0, max: 2, used: 0, free: 1, pending: 0 })
  })

  it('hears at once why no item can be made, each of its own attempt', async () => {
    let calls = 0
    const kit = await ItemKit.open({
      create: () => {
        calls += 1
        throw new Error(`refused ${calls}`)
      },
    })
    const asked = Array.from({ length: 5 }, () => follow(kit.pool.acquire()))
    await vi.advanceTimersByTimeAsync(50)
    for (const { error } of asked) expect(error).toMatchObject({ code: 'ERR_RESOURCE_INIT', retryable: true })
    expect(calls).toBeGreaterThanOrEqual(5)
    expect(kit.pool.stats()).toEqual({ min: 0, max: 2, used: 0, free: 0, pending: 0 })
  })

  it('hears when an item takes too long to be made, and what comes late is destroyed', async () => {
    const gate = new Deferred()
    let signal: AbortSignal | undefined
    const kit = await ItemKit.open({
      createTimeoutMs: 100,
      create: async (_config, context) => {
        signal ??= context.signal
        await gate.promise
        return kit.make()
      },
    })
    const asked = follow(kit.pool.acquire())
    await vi.advanceTimersByTimeAsync(100)
    expect(asked.error?.message).toContain('`create` has not returned within 100 ms')
    expect(signal?.aborted).toBe(true)
    gate.resolve()
    await turn()
    expect(kit.destroyed).toEqual(kit.items)
    expect(kit.items).toHaveLength(1)
  })
})

describe('a pool whose server hangs and comes back', () => {
  /** A pool with one item, made while the server was up, on a server that hangs now. */
  async function hanging(options: Options = {}) {
    let isUp = true
    const never = new Promise<never>(() => undefined)
    const kit = await ItemKit.open({
      create: () => (isUp ? kit.make() : never),
      validate: () => isUp || never,
      validateTimeoutMs: 300,
      createTimeoutMs: 1_000,
      ...options,
    })
    await kit.pool.use(() => 1)
    isUp = false
    const comeBack = (): void => {
      isUp = true
    }
    return { kit, comeBack }
  }

  it.each([1, 3])('serves callers that come afterwards, with room for %d', async (max) => {
    const { kit, comeBack } = await hanging({ max })
    const during = follow(kit.pool.use(() => 1, { timeoutMs: 500 }))
    await vi.advanceTimersByTimeAsync(500)
    expect(during.error?.code).toBe('ERR_DEADLINE_EXCEEDED')
    comeBack()
    const after = Array.from({ length: 5 }, () => follow(kit.pool.use(() => 2)))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(after.map(({ value, error }) => error ?? value)).toEqual([2, 2, 2, 2, 2])
    expect(kit.pool.stats()).toMatchObject({ used: 0, pending: 0 })
  })

  it('serves callers at once that come while an earlier attempt still hangs', async () => {
    const { kit, comeBack } = await hanging()
    follow(kit.pool.use(() => 1, { timeoutMs: 400 }))
    await vi.advanceTimersByTimeAsync(400)
    comeBack()
    const after = follow(kit.pool.use(() => 2))
    await turn()
    expect(after.value).toBe(2)
  })

  it('serves a caller that has waited all the time, whose own attempt hung', async () => {
    const { kit, comeBack } = await hanging()
    const waiting = follow(kit.pool.use(() => 1))
    await vi.advanceTimersByTimeAsync(700)
    comeBack()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(waiting.error ?? waiting.value).toBe(1)
  })

  it('is healthy as soon as the server is back', async () => {
    const { kit, comeBack } = await hanging({ max: 2 })
    follow(kit.pool.use(() => 1, { timeoutMs: 500 }))
    await vi.advanceTimersByTimeAsync(500)
    comeBack()
    const health = kit.health()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await health).toBe('healthy')
  })

  it('refuses a caller after its second attempt while the server goes on hanging', async () => {
    const { kit } = await hanging()
    const waiting = follow(kit.pool.use(() => 1))
    await vi.advanceTimersByTimeAsync(2_200)
    expect(waiting.error).toBeUndefined()
    await vi.advanceTimersByTimeAsync(200)
    expect(waiting.error).toMatchObject({
      code: 'ERR_RESOURCE_INIT',
      message: expect.stringContaining('`create` has not returned within 1000 ms'),
      cause: { code: 'ERR_DEADLINE_EXCEEDED' },
    })
  })

  it('refuses a start after its first attempt', async () => {
    const starting = follow(
      ItemKit.open({ min: 2, createTimeoutMs: 1_000, create: () => new Promise(() => undefined) }),
    )
    await vi.advanceTimersByTimeAsync(1_000)
    expect(starting.error?.message).toContain('`create` has not returned within 1000 ms')
  })
})

describe('an item that is not valid from the start', () => {
  it.each([
    ['says no', () => false],
    [
      'throws',
      () => {
        throw new Error('no such query')
      },
    ],
  ])('fails its caller at once when validate %s, and no other is made for nobody', async (_, validate) => {
    const kit = await ItemKit.open({ validate })
    await expect(kit.pool.acquire()).rejects.toMatchObject({
      code: 'ERR_RESOURCE_INIT',
      message: expect.stringContaining('did not pass `validate`'),
    })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(kit.items).toHaveLength(1)
    expect(kit.destroyed).toEqual(kit.items)
    expect(await kit.health()).toMatch(/^unhealthy: .*did not pass/)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(kit.items).toHaveLength(2)
  })

  it('is validated once before it is handed out first', async () => {
    let asked = 0
    const kit = await ItemKit.open({
      validate: () => {
        asked += 1
        return true
      },
    })
    kit.pool.release(await kit.pool.acquire())
    expect(asked).toBe(1)
    await kit.pool.acquire()
    expect(asked).toBe(2)
  })
})

describe('the health of a pool', () => {
  it('is that of an item, new or free', async () => {
    const kit = await ItemKit.open({ check: async ({ isBroken }) => !isBroken })
    expect(await kit.health()).toBe('healthy')
    expect(await kit.health()).toBe('healthy')
    expect(kit.items).toHaveLength(1)
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 1 })
  })

  it('is good when all items are in use, and does not wait for one', async () => {
    const check = vi.fn(() => true)
    const kit = await ItemKit.open({ check })
    await kit.takeAll()
    follow(kit.pool.acquire())
    expect(await kit.health()).toBe('healthy')
    expect(check).not.toHaveBeenCalled()
  })

  it('is bad when no item can be made', async () => {
    let isDown = false
    const kit = await ItemKit.open({
      create: () => {
        if (isDown) throw new Error('refused')
        return kit.make()
      },
    })
    isDown = true
    expect(await kit.health()).toBe('unhealthy: pool db could not make an item: refused')
    isDown = false
    expect(await kit.health()).toBe('healthy')
  })

  it('is bad when callers fill the pool, but the last item could not be made', async () => {
    const gates: Deferred<Item>[] = []
    const create = (): Promise<Item> => {
      const gate = new Deferred<Item>()
      gates.push(gate)
      return gate.promise
    }
    const kit = await ItemKit.open({ create })
    const asked = [1, 2, 3].map(() => follow(kit.pool.acquire()))
    expect(await kit.health()).toBe('healthy')
    gates[0]?.reject(new Error('refused'))
    await vi.advanceTimersByTimeAsync(20)
    expect(asked.filter(({ error }) => error !== undefined)).toHaveLength(1)
    expect(gates).toHaveLength(3)
    expect(await kit.health()).toContain('unhealthy: pool db could not make an item: refused')
  })

  it('is that of a new item once those from before have failed, and they are destroyed', async () => {
    const kit = await ItemKit.open({ check: ({ isBroken }) => !isBroken })
    for (const item of await kit.takeAll()) kit.pool.release(item)
    for (const item of kit.items) item.isBroken = true
    const healthy = follow(kit.health())
    await vi.advanceTimersByTimeAsync(20)
    expect(healthy.value).toBe('healthy')
    expect(kit.destroyed).toHaveLength(2)
    expect(kit.pool.stats()).toMatchObject({ free: 1 })
  })

  it('is bad when a new item fails, and says why', async () => {
    const kit = await ItemKit.open({ check: () => Promise.reject(new Error('read-only')) })
    expect(await kit.health()).toBe('unhealthy: read-only')
    const other = await ItemKit.open({ check: () => false })
    expect(await other.health()).toContain('answered false')
    expect(other.destroyed).toEqual(other.items)
  })

  it('is bad when an item’s check hangs, which is destroyed then', async () => {
    const kit = await ItemKit.open({ check: () => new Deferred().promise })
    const asked = follow(kit.health())
    await vi.advanceTimersByTimeAsync(5_000)
    expect(asked.value).toContain('has not returned for 5000 ms')
    await turn()
    expect(kit.destroyed).toEqual(kit.items)
    expect(kit.pool.stats()).toMatchObject({ used: 0, free: 0 })
  })

  it('does not keep from callers the item they wait for', async () => {
    const gate = new Deferred()
    const kit = await ItemKit.open({ max: 1, check: () => gate.promise })
    const health = follow(kit.health())
    await turn()
    const asked = follow(kit.pool.acquire())
    await turn()
    expect(asked.isSettled).toBe(false)
    gate.resolve()
    await turn()
    expect(health.value).toBe('healthy')
    expect(asked.value).toBe(kit.items[0])
  })

  it('of which an item cannot be made does not hold up callers', async () => {
    let gate = new Deferred<Item>()
    const kit = await ItemKit.open({ max: 1, create: () => gate.promise })
    const health = follow(kit.health())
    const asked = follow(kit.pool.acquire())
    await turn()
    const refused = gate
    gate = new Deferred()
    gate.resolve(kit.make())
    refused.reject(new Error('refused'))
    await vi.advanceTimersByTimeAsync(20)
    expect(health.value).toContain('refused')
    expect(asked.value).toBe(kit.items[0])
  })
})

describe('the cleanup of a pool', () => {
  it('waits for items in use, refuses callers, and destroys all', async () => {
    const kit = await ItemKit.open()
    const [first, second] = (await kit.takeAll()) as [Item, Item]
    const waiting = follow(kit.pool.acquire())
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await turn()
    expect(waiting.error).toMatchObject({ code: 'ERR_RESOURCE_NOT_FOUND' })
    await expect(kit.pool.acquire()).rejects.toThrow('pool db has been cleaned up')
    kit.pool.release(first)
    await turn()
    expect(cleaning.isSettled).toBe(false)
    expect(kit.destroyed).toEqual([])
    kit.pool.release(second)
    await vi.advanceTimersByTimeAsync(100)
    expect(cleaning).toMatchObject({ isSettled: true })
    expect(cleaning.error).toBeUndefined()
    expect(new Set(kit.destroyed)).toEqual(new Set(kit.items))
    expect(kit.state('db')).toBe('stopped')
  })

  it('destroys items in use once it has waited long enough, which is told', async () => {
    const kit = await ItemKit.open({ drainTimeoutMs: 1_000 })
    const [item] = (await kit.takeAll()) as [Item]
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await vi.advanceTimersByTimeAsync(999)
    expect(kit.destroyed).toEqual([])
    await vi.advanceTimersByTimeAsync(101)
    expect(cleaning).toMatchObject({ isSettled: true })
    expect(cleaning.error).toBeUndefined()
    expect(new Set(kit.destroyed)).toEqual(new Set(kit.items))
    expect(kit.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: { resource: 'db', items: 2 } }),
    )
    // Whoever held it can do no harm by giving it back.
    expect(() => kit.pool.release(item)).not.toThrow()
    expect(kit.destroyed).toHaveLength(2)
  })

  it('waits no longer than half of what it has itself', async () => {
    const kit = await ItemKit.open({ drainTimeoutMs: 60_000 })
    await kit.takeAll()
    const cleaning = follow(kit.manager.cleanupAll({ timeoutMs: 400 }))
    await vi.advanceTimersByTimeAsync(201)
    expect(kit.destroyed).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(198)
    expect(cleaning).toMatchObject({ isSettled: true })
    expect(cleaning.error).toBeUndefined()
  })

  it('tells which items could not be destroyed', async () => {
    const kit = await ItemKit.open({
      destroyTimeoutMs: 50,
      destroy: ({ serial }) => (serial === 1 ? Promise.reject(new Error('busy')) : new Deferred().promise),
    })
    for (const item of await kit.takeAll()) kit.pool.release(item)
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await vi.advanceTimersByTimeAsync(200)
    expect(cleaning.error?.code).toBe('ERR_SHUTDOWN')
    expect(cleaning.error?.message).toContain('an item of pool db could not be destroyed: busy')
    expect(cleaning.error?.message).toContain('`destroy` has not returned within 50 ms')
    expect(kit.state('db')).toBe('error')
  })

  it('ends what is being made, and destroys it if it comes all the same', async () => {
    const gate = new Deferred()
    let signal: AbortSignal | undefined
    const kit = await ItemKit.open({
      create: async (_config, context) => {
        signal = context.signal
        await gate.promise
        return kit.make()
      },
    })
    const asked = follow(kit.pool.acquire())
    await turn()
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await vi.advanceTimersByTimeAsync(100)
    expect(asked.error?.code).toBe('ERR_RESOURCE_NOT_FOUND')
    expect(signal?.aborted).toBe(true)
    expect(cleaning).toMatchObject({ isSettled: true })
    gate.resolve()
    await turn()
    expect(kit.items).toHaveLength(1)
    expect(kit.destroyed).toEqual(kit.items)
  })

  it('destroys an item that is being validated', async () => {
    const verdict = new Deferred<boolean>()
    const validate = vi.fn(() => verdict.promise)
    const kit = await ItemKit.open({ validate })
    const asked = follow(kit.pool.acquire())
    await turn()
    expect(validate).toHaveBeenCalledTimes(1)
    const cleaning = follow(kit.manager.cleanupResource('db'))
    await turn()
    verdict.resolve(true)
    await vi.advanceTimersByTimeAsync(200)
    expect(asked.error?.code).toBe('ERR_RESOURCE_NOT_FOUND')
    expect(cleaning).toMatchObject({ isSettled: true })
    expect(kit.destroyed).toEqual(kit.items)
  })

  it('finds a pool that is being filled, and leaves none of its items', async () => {
    const gate = new Deferred()
    const kit = new ItemKit()
    const starting = follow(kit.start({ min: 2, create: () => gate.promise.then(() => kit.make()) }))
    await turn()
    const cleaning = follow(kit.manager.cleanupAll())
    await turn()
    expect(starting.error?.code).toBe('ERR_RESOURCE_INIT')
    gate.resolve()
    await vi.advanceTimersByTimeAsync(200)
    expect(cleaning).toMatchObject({ isSettled: true })
    expect(new Set(kit.destroyed)).toEqual(new Set(kit.items))
  })
})

describe('the options of a pool', () => {
  const functions = { create: () => 1, destroy: () => undefined }

  it.each([
    [{ create: 1 }, '`create` is 1: must be a function'],
    [{ destroy: undefined }, '`destroy` is undefined: must be a function'],
    [{ validate: true }, '`validate` is true: must be a function'],
    [{ min: -1 }, '`min` is -1'],
    [{ min: 1.5 }, '`min` is 1.5'],
    [{ max: 0 }, '`max` is 0'],
    [{ min: 5, max: 4 }, '`min` is 5: must not be more than `max`'],
    [{ idleTimeoutMs: '1s' }, '`idleTimeoutMs` is "1s"'],
    [{ acquireTimeoutMs: Number.NaN }, '`acquireTimeoutMs` is NaN'],
    [{ drainTimeoutMs: 2 ** 31 }, '`drainTimeoutMs` is 2147483648'],
    [{ acquireTimeoutMillis: 5 }, 'it has no option `acquireTimeoutMillis`'],
  ])('%o are refused with path, value and rule', (options, told) => {
    const make = (): unknown => pooledResourceType({ ...functions, ...options } as never)
    expect(make).toThrow(`pooledResourceType: ${told}`)
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTIONS' }))
  })

  it('of one call are refused, too', async () => {
    const kit = await ItemKit.open()
    await expect(kit.pool.acquire({ timeoutMs: -1 })).rejects.toThrow('acquire: `timeoutMs` is -1')
    await expect(kit.pool.use(() => 1, { timeout: 1 } as object)).rejects.toThrow('no option `timeout`')
  })
})
