import {
  type InitializeResourceOptions,
  type PooledResource,
  pooledResourceType,
  ResourceLifecycleManager,
  type Transition,
} from 'tbcoin-engine'
import { describe, expectTypeOf, it } from 'vitest'

declare const manager: ResourceLifecycleManager

class Database {
  readonly host: string

  constructor(host: string) {
    this.host = host
  }
  async close(): Promise<void> {}
}

describe('registerResourceType', () => {
  it('holds cleaner and health checker to what the initializer makes', () => {
    manager.registerResourceType(
      'database',
      async (config: { host: string }, { signal, resource }) => {
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
        expectTypeOf(resource<string>('secret')).toEqualTypeOf<string>()
        return new Database(config.host)
      },
      (database, { timeoutMs }) => {
        expectTypeOf(timeoutMs).toEqualTypeOf<number>()
        return database.close()
      },
      (database) => database.host !== '',
    )
    const cleanText = (text: string): string => text
    // @ts-expect-error a cleaner of something else
    manager.registerResourceType('other', () => new Database('a'), cleanText)
  })

  it('takes the functions of a pool', () => {
    const type = pooledResourceType({
      create: (config: { host: string }) => new Database(config.host),
      destroy: (database) => database.close(),
      validate: async ({ host }) => host !== '',
      max: 4,
    })
    manager.registerResourceType('pool', ...type)
    // @ts-expect-error it is called max
    pooledResourceType({ create: () => 1, destroy: () => undefined, maximum: 4 })
  })
})

describe('a resource', () => {
  it('is of the type its caller says', () => {
    const options: InitializeResourceOptions = {
      name: 'db',
      resourceType: 'database',
      retry: { attempts: 3 },
    }
    expectTypeOf(manager.initializeResource<Database>(options)).toEqualTypeOf<Promise<Database>>()
    expectTypeOf(manager.initializeResource(options)).toEqualTypeOf<Promise<unknown>>()
    expectTypeOf(manager.getResource<Database>('db')).toEqualTypeOf<Database>()
    // @ts-expect-error a resource has a type
    void manager.initializeResource({ name: 'db' })
  })

  it('of a pool lends items', () => {
    const pool = manager.getResource<PooledResource<Database>>('pool')
    expectTypeOf(pool.acquire({ timeoutMs: 5 })).toEqualTypeOf<Promise<Database>>()
    expectTypeOf(pool.use(async ({ host }) => host.length)).toEqualTypeOf<Promise<number>>()
    // @ts-expect-error not an item of this pool
    pool.release('x')
  })
})

describe('the manager', () => {
  it('is usable alone, has typed events, and can be disposed of', () => {
    expectTypeOf(new ResourceLifecycleManager()).toExtend<AsyncDisposable>()
    manager.on('transition', (transition) => expectTypeOf(transition).toEqualTypeOf<Transition>())
    // @ts-expect-error no such event
    manager.on('moved', () => undefined)
  })
})
