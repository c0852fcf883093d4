import {
  ResourceLifecycleManager,
  type ResourceManagerOptions,
} from '../../src/resources/resource-manager.js'
import type { InitializeResourceOptions } from '../../src/resources/resource-options.js'
import type { CleanerContext, InitializerContext } from '../../src/resources/resource-type.js'
import { type Line, listLogger } from './test-logger.js'

/** A promise that a test settles. */
export class Deferred<T = void> {
  readonly promise: Promise<T>
  resolve!: (value: T) => void
  reject!: (error: unknown) => void

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/** A value that the initializer of the harness creates, one for each call. */
export interface Thing {
  readonly name: string
  readonly serial: number
}

/** The behaviour of the three functions of one resource, taken from its config. */
export interface Behaviour {
  readonly init?: (context: InitializerContext) => unknown
  readonly clean?: (context: CleanerContext) => unknown
  readonly check?: (context: { signal: AbortSignal }) => unknown
}

/** A manager with one type, `thing`, and a record of all events. */
export class ResourceKit {
  readonly lines: Line[] = []
  readonly moves: string[] = []
  readonly things: Thing[] = []
  readonly cleaned: Thing[] = []
  readonly manager: ResourceLifecycleManager
  readonly #behaviours = new Map<Thing, Behaviour>()

  constructor(options: ResourceManagerOptions = {}) {
    this.manager = new ResourceLifecycleManager({ logger: listLogger(this.lines), ...options })
    this.manager.on('transition', ({ component, from, to }) => {
      this.moves.push(`${component.replace('resource ', '')} ${from}>${to}`)
    })
    this.manager.registerResourceType<Thing, Behaviour>(
      'thing',
      async (behaviour = {}, context) => {
        await behaviour.init?.(context)
        const thing = { name: context.name, serial: this.things.length + 1 }
        this.things.push(thing)
        this.#behaviours.set(thing, behaviour)
        return thing
      },
      (thing, context) => {
        this.cleaned.push(thing)
        return this.#behaviours.get(thing)?.clean?.(context)
      },
      (thing, context) => this.#behaviours.get(thing)?.check?.(context),
    )
  }

  init(
    name: string,
    behaviour?: Behaviour,
    options: Partial<InitializeResourceOptions> = {},
  ): Promise<Thing> {
    return this.manager.initializeResource<Thing>({
      name,
      resourceType: 'thing',
      config: behaviour,
      ...options,
    })
  }

  state(name: string): string | undefined {
    return this.manager.listResources().find((info) => info.name === name)?.state
  }

  get cleanedNames(): string[] {
    return this.cleaned.map(({ name }) => name)
  }
}
