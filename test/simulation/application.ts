import type { RequestHandle } from '../../src/requests/request-handle.js'
import type { PooledResource } from '../../src/resources/pooled/pooled-resource.js'
import { pooledResourceType } from '../../src/resources/pooled/pooled-resource-type.js'
import type { Runtime } from '../../src/runtime.js'
import type { Surroundings } from './callers.js'
import type { Operations } from './operations.js'
import type { ActionOf, HandlerFate } from './program.js'

/** A value that an initializer or a pool has created, and how often it was cleaned up. */
interface Made {
  readonly what: string
  readonly fate: HandlerFate
  ends: number
}

const MAX_MS = 30

/** The parts of an application beside its models: resources, handlers, requests of its own. */
export class Application {
  /** True once the application has had a resource or a handler. */
  isUsed = false
  /** The number of requests of its own that have begun, and that have ended. */
  begun = 0
  ended = 0
  readonly #runtime: Runtime
  readonly #world: Surroundings
  readonly #operations: Operations
  readonly #made: Made[] = []
  readonly #requests: RequestHandle[] = []
  readonly #items: { readonly pool: PooledResource<Made>; readonly item: Made }[] = []
  readonly #fates = new Map<string, HandlerFate>()
  /** Callbacks that let hanging handlers return. */
  #thaws: (() => void)[] = []

  constructor(runtime: Runtime, world: Surroundings, operations: Operations) {
    this.#runtime = runtime
    this.#world = world
    this.#operations = operations
    const { conditions, clock } = world
    runtime.resources.registerResourceType<Made>(
      'plain',
      async (_, { name, signal }) => {
        await this.#act(this.#fates.get(name) ?? 'done', signal)
        return this.#make(name)
      },
      (resource, { signal }) => this.#end(resource, signal),
    )
    const pool = pooledResourceType<Made>(
      {
        create: async (_, { signal }) => {
          await this.#act(conditions.makeFate, signal)
          return this.#make('item')
        },
        destroy: (item) => this.#end(item),
        validate: async () => {
          await this.#act('done')
          return conditions.below(8) > 0
        },
        min: 1,
        max: 2,
        idleTimeoutMs: 40,
        acquireTimeoutMs: 500,
        createTimeoutMs: 200,
        validateTimeoutMs: 100,
        destroyTimeoutMs: 100,
        drainTimeoutMs: 200,
      },
      clock,
    )
    runtime.resources.registerResourceType('pool', ...pool)
  }

  /** Lets all hanging calls return. */
  thaw(): void {
    const thaws = this.#thaws
    this.#thaws = []
    for (const thaw of thaws) thaw()
  }

  initialize({ name, fate }: ActionOf<'initialize'>): void {
    this.isUsed = true
    this.#fates.set(name, fate)
    const resourceType = name === 'pool' ? 'pool' : 'plain'
    const dependsOn = name === 'cache' && this.#isRunning('db') ? { dependsOn: ['db'] } : {}
    const retry = { attempts: 2, minDelayMs: 5, maxDelayMs: 20 }
    const options = { name, resourceType, timeoutMs: 300, retry, ...dependsOn }
    this.#operations.follow('initialize', this.#runtime.resources.initializeResource(options))
  }

  cleanUp(name: string): void {
    this.#operations.follow('cleanUp', this.#runtime.resources.cleanupResource(name, { timeoutMs: 400 }))
  }

  acquire({ timeoutMs }: ActionOf<'acquire'>): void {
    if (!this.#isRunning('pool')) return
    const pool = this.#runtime.resources.getResource<PooledResource<Made>>('pool')
    this.#operations.follow('acquire', pool.acquire({ timeoutMs }), (item) => {
      if (item.ends > 0) this.#world.violated('an item was handed out after its end')
      this.#items.push({ pool, item })
    })
  }

  /** Releases an item that is in use, sometimes as a broken one. */
  release(pick: number): void {
    const [taken] = this.#items.splice(pick % Math.max(1, this.#items.length), 1)
    // An item that a cleanup has destroyed meanwhile no longer belongs to the pool.
    if (taken !== undefined) taken.pool.release(taken.item, { isBroken: pick % 3 === 0 })
  }

  begin(): void {
    this.begun += 1
    this.#requests.push(this.#runtime.requests.begin('job'))
  }

  finish(pick: number): void {
    const [request] = this.#requests.splice(pick % Math.max(1, this.#requests.length), 1)
    if (request === undefined) return
    this.ended += 1
    if (pick % 2 === 0) request.complete()
    else request.fail(new Error('on purpose'))
  }

  /** Completes all open requests. */
  finishAll(): void {
    while (this.#requests.length > 0) this.finish(0)
    while (this.#items.length > 0) this.release(1)
  }

  addHandler({ fate, timeoutMs }: ActionOf<'addHandler'>): void {
    const { lifecycle } = this.#runtime
    if (lifecycle.state !== 'running') return
    this.isUsed = true
    lifecycle.addShutdownHandler(({ signal }) => this.#act(fate, signal), { timeoutMs })
  }

  checkEnd(): void {
    for (const { what, ends, fate } of this.#made) {
      if (ends !== 1) this.#world.violated(`${what} (${fate}) was given back ${ends} times`)
    }
  }

  #isRunning(name: string): boolean {
    return this.#runtime.resources
      .listResources()
      .some((info) => info.name === name && info.state === 'running')
  }

  #make(what: string): Made {
    const resource = { what, fate: this.#world.conditions.cleanFate, ends: 0 }
    this.#made.push(resource)
    return resource
  }

  async #end(resource: Made, signal?: AbortSignal): Promise<void> {
    resource.ends += 1
    await this.#act(this.#world.conditions.cleanFate, signal)
  }

  /** Waits a while and then acts by its fate; `obeys` waits until the signal aborts. */
  #act(fate: HandlerFate, signal?: AbortSignal): Promise<void> {
    const { conditions } = this.#world
    return new Promise((resolve, reject) => {
      if (fate === 'hangs' || (fate === 'obeys' && signal === undefined)) this.#thaws.push(resolve)
      else if (fate === 'obeys' && signal?.aborted) reject(signal.reason)
      else if (fate === 'obeys')
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      else
        conditions.later(conditions.below(MAX_MS), () =>
          fate === 'done' ? resolve() : reject(new Error('on purpose')),
        )
    })
  }
}
