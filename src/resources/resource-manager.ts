import { AsyncResource } from 'node:async_hooks'
import { isDeepStrictEqual } from 'node:util'
import { parseOptions } from '../config/parse-options.js'
import { errors, messageOf } from '../errors/errors.js'
import { type Transition, transitionOf } from '../lifecycle/state-machine.js'
import { type Clock, systemClock } from '../platform/clock.js'
import { systemRandom } from '../platform/random.js'
import { Announcer } from '../telemetry/announcer.js'
import { Emitter } from '../telemetry/emitter.js'
import { EngineEvents } from '../telemetry/events/engine-events.js'
import { createLogger, type Logger, takeLogger } from '../telemetry/logger.js'
import { checkHealth } from './check-health.js'
import { Cleanup, cleanupOrder, summarize } from './cleanup.js'
import { Initialization, type ResourcePorts, type Surroundings } from './initialization.js'
import {
  ManagedResource,
  type ResourceHealth,
  type ResourceInfo,
  type ResourceSettings,
} from './managed-resource.js'
import {
  type CleanupAllOptions,
  type CleanupResourceOptions,
  cleanupAllSchema,
  cleanupResourceSchema,
  type InitializeResourceOptions,
  initializeSchema,
  managerSchema,
  type ResourceManagerConfigInput,
} from './resource-options.js'
import type { Cleaner, HealthChecker, Initializer, ResourceType } from './resource-type.js'

export interface ResourceManagerOptions extends ResourceManagerConfigInput {
  /** Where log lines go, for example the host's pino logger; by default one of our own, on stderr. */
  logger?: Logger
}

/** What a resource manager emits. */
export interface ResourceEvents {
  transition: [transition: Transition]
}

/**
 * Databases, caches, clients: what a service takes at its start and has to give back at its
 * end. Each is initialised once, after what it depends on, and cleaned up in the reverse order.
 */
export class ResourceLifecycleManager extends Emitter<ResourceEvents> implements AsyncDisposable {
  readonly #clock: Clock
  readonly #types = new Map<string, ResourceType>()
  readonly #resources = new Map<string, ManagedResource>()
  readonly #cleanupTimeoutMs: number
  readonly #healthTimeoutMs: number
  readonly #logger: Logger
  readonly #events: EngineEvents
  /** Shared work runs in here, never in the context of the caller that happened to start it. */
  readonly #scope = new AsyncResource('tbcoin-engine.resources')
  readonly #surroundings: Surroundings
  #closing: Promise<void> | undefined

  /** @throws ERR_INVALID_OPTIONS */
  constructor(options: ResourceManagerOptions = {}, ports: ResourcePorts = {}) {
    super({ transition: true })
    const { clock = systemClock, random = systemRandom, events } = ports
    this.#clock = clock
    const [logger, input] = takeLogger(options, 'ResourceLifecycleManager')
    const config = parseOptions(managerSchema, input, 'ResourceLifecycleManager')
    this.#cleanupTimeoutMs = config.cleanupTimeoutMs
    this.#healthTimeoutMs = config.healthTimeoutMs
    this.#logger = logger ?? createLogger('tbcoin-engine', config.logLevel)
    this.#events = events ?? new EngineEvents(clock, this.#logger)
    const announcer = new Announcer<ResourceEvents>(clock, this, this.#logger)
    this.#events.subscribe({
      transition: (event) => {
        if (event.subject.kind === 'resource') announcer.emit('transition', transitionOf(event))
      },
    })
    let order = 0
    this.#surroundings = {
      clock,
      random,
      logger: this.#logger,
      cleanupTimeoutMs: config.cleanupTimeoutMs,
      nextOrder: () => {
        order += 1
        return order
      },
    }
  }

  /**
   * Makes a type of resource known. `pooledResourceType` makes the functions of one that is a pool.
   * @param initializer makes the resource from its `config`
   * @param cleaner gives it back; without one there is nothing to do
   * @param healthChecker `false`, or an error, is unhealthy; without one a running resource is healthy
   * @throws ERR_INVALID_OPTIONS if one is no function, or the type is known already
   */
  registerResourceType<T, C = unknown>(
    type: string,
    initializer: Initializer<T, C>,
    cleaner?: Cleaner<NoInfer<T>>,
    healthChecker?: HealthChecker<NoInfer<T>>,
  ): void {
    const what = 'registerResourceType'
    if (typeof type !== 'string' || type === '') {
      throw new errors.ERR_INVALID_OPTIONS(`${what}: the type is a non-empty string`)
    }
    if (this.#types.has(type)) {
      throw new errors.ERR_INVALID_OPTIONS(
        `${what}: there is a type ${JSON.stringify(type)} already; choose another name`,
      )
    }
    for (const [part, given] of Object.entries({ initializer, cleaner, healthChecker })) {
      if (typeof given === 'function' || (given === undefined && part !== 'initializer')) continue
      throw new errors.ERR_INVALID_OPTIONS(
        `${what}: the ${part} of ${JSON.stringify(type)} is not a function`,
      )
    }
    // What the caller asserts by handing them over together: they speak of the same T and C.
    this.#types.set(type, { name: type, initializer, cleaner, healthChecker } as ResourceType)
  }

  /**
   * Initialises a resource and resolves with what its initializer made. A name that is
   * initialised, or about to be, is not initialised again: the caller gets that one, and is
   * refused if it asks for another type, `config` or `dependsOn`. After a failure, a timeout or
   * a cleanup another call begins anew.
   * @throws ERR_INVALID_OPTIONS, ERR_RESOURCE_NOT_FOUND for a type or a dependency that is not
   * known, ERR_RESOURCE_INIT with its cause for everything that goes wrong on the way,
   * ERR_RUNTIME_CLOSED after `close()`.
   */
  async initializeResource<T = unknown>(options: InitializeResourceOptions): Promise<T> {
    const { name, resourceType, config, dependsOn, retry, timeoutMs } = parseOptions(
      initializeSchema,
      options,
      'initializeResource',
    )
    this.#assertOpen()
    const type = this.#requireType(resourceType)
    const known = this.#resources.get(name)
    if (known?.machine.is('stopping')) {
      throw new errors.ERR_RESOURCE_INIT(
        `resource ${name} is being cleaned up; initialise it again when that is done`,
      )
    }
    if (known !== undefined && !known.machine.is('stopped', 'error')) {
      assertSame(known, type, config, dependsOn)
      return (known.initializing?.promise ?? known.held?.value) as T
    }
    const settings = { type, config, dependsOn: [...new Set(dependsOn)] }
    const dependencies = settings.dependsOn.map((other) => this.#requireDependency(name, other))
    const resource = known ?? this.#add(name, settings)
    resource.settings = settings
    resource.initializedAs = undefined
    const initialization = this.#scope.runInAsyncScope(
      () => new Initialization(resource, { dependencies, retry, timeoutMs }, this.#surroundings),
    )
    resource.initializing = initialization
    resource.machine.to('initializing', 'initializeResource')
    return initialization.promise as Promise<T>
  }

  /**
   * Cleans up a resource and, before it, all that depend on it. One that is still being
   * initialised is aborted: its callers are rejected, what it still makes is cleaned up. Nothing
   * is cleaned up twice: calls at the same time share the outcome, later ones find nothing to do.
   * @throws ERR_RESOURCE_NOT_FOUND, and ERR_SHUTDOWN if a cleaner fails or does not return in time
   */
  async cleanupResource(name: string, options: CleanupResourceOptions = {}): Promise<void> {
    const { timeoutMs } = parseOptions(cleanupResourceSchema, options, 'cleanupResource')
    const order = cleanupOrder(this.#resources.values(), this.#require(name))
    await this.#cleanUp(
      order,
      new Cleanup(this.#clock, 'cleanupResource', timeoutMs ?? this.#cleanupTimeoutMs),
    )
  }

  /**
   * Cleans up everything, the latest initialised first; a cleaner that fails stops none of the
   * others. The manager can be used again afterwards; see `close` for an end.
   * @throws ERR_SHUTDOWN that tells every failure, with an AggregateError as its cause
   */
  async cleanupAll(options: CleanupAllOptions = {}): Promise<void> {
    const { timeoutMs } = parseOptions(cleanupAllSchema, options, 'cleanupAll')
    const order = cleanupOrder(this.#resources.values())
    await this.#cleanUp(
      order,
      new Cleanup(this.#clock, 'cleanupAll', this.#cleanupTimeoutMs, timeoutMs),
      true,
    )
  }

  /** `cleanupAll`, and nothing is initialised any more. Idempotent: all calls share the outcome. */
  async close(options: CleanupAllOptions = {}): Promise<void> {
    parseOptions(cleanupAllSchema, options, 'close')
    // It may have less time than the one before.
    if (this.#closing !== undefined && options.timeoutMs !== undefined) return this.cleanupAll(options)
    // First closed, then cleaned up: a listener must not slip something in.
    this.#closing ??= Promise.resolve().then(() => this.cleanupAll(options))
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * What the resource's initializer made.
   * @throws ERR_RESOURCE_NOT_FOUND if there is none of that name, or it is not running.
   */
  getResource<T = unknown>(name: string): T {
    const { held, machine } = this.#require(name)
    if (held !== undefined && machine.is('running')) return held.value as T
    const { cause } = machine
    throw new errors.ERR_RESOURCE_NOT_FOUND(
      `resource ${name} is ${machine.state}${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
      { cause },
    )
  }

  /**
   * Asks the type's health checker; a check that has not returned is shared, not repeated. A
   * resource that is not running is unhealthy.
   * @throws ERR_RESOURCE_NOT_FOUND
   */
  async checkResourceHealth(name: string): Promise<ResourceHealth> {
    return this.#check(this.#require(name))
  }

  /** Of all but those that have been cleaned up: nobody expects those to work. */
  checkAllResourcesHealth(): Promise<ResourceHealth[]> {
    const expected = [...this.#resources.values()].filter(({ machine }) => !machine.is('stopped'))
    return Promise.all(expected.map((resource) => this.#check(resource)))
  }

  /** Every resource there is or was, in the order of their first calls. */
  listResources(): ResourceInfo[] {
    return [...this.#resources.values()].map((resource) => resource.info())
  }

  #check(resource: ManagedResource): Promise<ResourceHealth> {
    return this.#scope.runInAsyncScope(() => checkHealth(this.#clock, resource, this.#healthTimeoutMs))
  }

  async #cleanUp(order: readonly ManagedResource[], cleanup: Cleanup, isAggregate = false): Promise<void> {
    const failures = await this.#scope.runInAsyncScope(() => cleanup.run(order))
    const failure = summarize(failures, isAggregate)
    if (failure !== undefined) throw failure
  }

  #assertOpen(): void {
    if (this.#closing === undefined) return
    throw new errors.ERR_RUNTIME_CLOSED('the resource manager is closed; create another one to go on')
  }

  #require(name: string): ManagedResource {
    const resource = this.#resources.get(name)
    if (resource !== undefined) return resource
    throw new errors.ERR_RESOURCE_NOT_FOUND(
      `there is no resource ${JSON.stringify(name)}; known: ${list(this.#resources.keys())}`,
    )
  }

  #requireType(resourceType: string): ResourceType {
    const type = this.#types.get(resourceType)
    if (type !== undefined) return type
    throw new errors.ERR_RESOURCE_NOT_FOUND(
      `there is no resource type ${JSON.stringify(resourceType)}; known: ${list(this.#types.keys())}; make it known with registerResourceType`,
    )
  }

  /** What is to be depended on is there already, or on its way: so there are no cycles. */
  #requireDependency(name: string, other: string): ManagedResource {
    if (other === name) {
      throw new errors.ERR_INVALID_OPTIONS(`initializeResource: ${name} depends on itself`)
    }
    const resource = this.#resources.get(other)
    if (resource === undefined) {
      throw new errors.ERR_RESOURCE_NOT_FOUND(
        `resource ${name} depends on ${JSON.stringify(other)}, which is not known; initialise that first`,
      )
    }
    const { state, cause } = resource.machine
    if (!resource.machine.is('stopping', 'stopped', 'error')) return resource
    throw new errors.ERR_RESOURCE_INIT(
      `resource ${name} depends on ${other}, which is ${state}; initialise that first`,
      { cause },
    )
  }

  #add(name: string, settings: ResourceSettings): ManagedResource {
    const resource = new ManagedResource(this.#clock, name, settings, (event) => {
      this.#events.publish('transition', event)
    })
    this.#resources.set(name, resource)
    return resource
  }
}

function assertSame(
  { name, machine, settings }: ManagedResource,
  type: ResourceType,
  config: unknown,
  dependsOn: readonly string[] | undefined,
): void {
  let other: string | undefined
  if (settings.type !== type) other = `type (${settings.type.name})`
  else if (config !== undefined && !isDeepStrictEqual(config, settings.config)) other = '`config`'
  else if (dependsOn !== undefined && !isDeepStrictEqual(new Set(dependsOn), new Set(settings.dependsOn)))
    other = '`dependsOn`'
  if (other === undefined) return
  throw new errors.ERR_INVALID_OPTIONS(
    `initializeResource: resource ${name} is ${machine.state} with another ${other}; clean it up first, or choose another name`,
  )
}

function list(names: Iterable<string>): string {
  const known = [...names].slice(0, 10)
  return known.length === 0 ? 'none' : known.join(', ')
}
