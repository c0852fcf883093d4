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
import { Initialization, type InitializationPorts, type ResourcePorts } from './initialization.js'
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

/** Options of `new ResourceLifecycleManager`. */
export interface ResourceManagerOptions extends ResourceManagerConfigInput {
  /** Logger for all lines, for example the application's pino logger; by default a pino logger on stderr. */
  logger?: Logger
}

/** Events of a resource manager. */
export interface ResourceEvents {
  transition: [transition: Transition]
}

/**
 * Initialises and cleans up the resources of a service, such as databases, caches and clients. Each is
 * initialised once, after its dependencies, and cleaned up in the reverse order.
 */
export class ResourceLifecycleManager extends Emitter<ResourceEvents> implements AsyncDisposable {
  readonly #clock: Clock
  readonly #types = new Map<string, ResourceType>()
  readonly #resources = new Map<string, ManagedResource>()
  readonly #cleanupTimeoutMs: number
  readonly #healthTimeoutMs: number
  readonly #logger: Logger
  readonly #events: EngineEvents
  /** Async context of shared work, which must not run in the context of the caller that started it. */
  readonly #scope = new AsyncResource('tbcoin-engine.resources')
  readonly #initializationPorts: InitializationPorts
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
        if (event.subject.kind === 'resource') announcer.tell('transition', transitionOf(event))
      },
    })
    let order = 0
    this.#initializationPorts = {
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
   * Registers a type of resource. `pooledResourceType` makes the functions of a type whose resources are
   * pools.
   * @param initializer makes a resource from its `config`
   * @param cleaner releases it; may be left out if nothing has to be released
   * @param healthChecker returns `false` or throws if it is unhealthy; without it a running resource is
   * healthy
   * @throws ERR_INVALID_OPTIONS if one of them is not a function, or the type is registered already
   */
  registerResourceType<T, C = unknown>(
    type: string,
    initializer: Initializer<T, C>,
    cleaner?: Cleaner<NoInfer<T>>,
    healthChecker?: HealthChecker<NoInfer<T>>,
  ): void {
    const what = 'registerResourceType'
    if (typeof type !== 'string' || type === '') {
      throw new errors.ERR_INVALID_OPTIONS(`${what}: the type must be a non-empty string`)
    }
    if (this.#types.has(type)) {
      throw new errors.ERR_INVALID_OPTIONS(
        `${what}: the type ${JSON.stringify(type)} is registered already; choose another name`,
      )
    }
    for (const [part, value] of Object.entries({ initializer, cleaner, healthChecker })) {
      if (typeof value === 'function' || (value === undefined && part !== 'initializer')) continue
      throw new errors.ERR_INVALID_OPTIONS(
        `${what}: the ${part} of ${JSON.stringify(type)} is not a function`,
      )
    }
    // By passing the functions together, the caller asserts that they have the same T and C.
    this.#types.set(type, { name: type, initializer, cleaner, healthChecker } as ResourceType)
  }

  /**
   * Initialises a resource and resolves with the value that its initializer made. A resource that is running
   * or being initialised is not initialised again: the call resolves with its value, and rejects if its type,
   * `config` or `dependsOn` differ. After a failure, a timeout or a cleanup, a new call initialises it again.
   * @throws ERR_INVALID_OPTIONS; ERR_RESOURCE_NOT_FOUND for an unknown type or dependency; ERR_RESOURCE_INIT
   * with its cause if the initializer or a dependency fails; ERR_RUNTIME_CLOSED after `close()`.
   */
  async initializeResource<T = unknown>(options: InitializeResourceOptions): Promise<T> {
    const { name, resourceType, config, dependsOn, retry, timeoutMs } = parseOptions(
      initializeSchema,
      options,
      'initializeResource',
    )
    this.#assertOpen()
    const type = this.#requireType(resourceType)
    const existing = this.#resources.get(name)
    if (existing?.machine.is('stopping')) {
      throw new errors.ERR_RESOURCE_INIT(
        `resource ${name} is being cleaned up; initialise it again when that is done`,
      )
    }
    if (existing !== undefined && !existing.machine.is('stopped', 'error')) {
      assertSame(existing, type, config, dependsOn)
      return (existing.initializing?.promise ?? existing.held?.value) as T
    }
    const settings = { type, config, dependsOn: [...new Set(dependsOn)] }
    const dependencies = settings.dependsOn.map((other) => this.#requireDependency(name, other))
    const resource = existing ?? this.#add(name, settings)
    resource.settings = settings
    resource.initializedAs = undefined
    const initialization = this.#scope.runInAsyncScope(
      () => new Initialization(resource, { dependencies, retry, timeoutMs }, this.#initializationPorts),
    )
    resource.initializing = initialization
    resource.machine.to('initializing', 'initializeResource')
    return initialization.promise as Promise<T>
  }

  /**
   * Cleans up a resource and, before it, all that depend on it. An initialisation under way is aborted: its
   * callers are rejected, and a value that it still makes is cleaned up. Nothing is cleaned up twice:
   * simultaneous calls share the outcome, later ones have nothing to do.
   * @throws ERR_RESOURCE_NOT_FOUND; ERR_SHUTDOWN if a cleaner fails or does not return in time
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
   * Cleans up all resources, the latest initialised first, even if a cleaner fails. The manager can be used
   * again afterwards; `close` ends its use.
   * @throws ERR_SHUTDOWN with the messages of all failures, and an AggregateError as its cause
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

  /** Cleans up all resources and rejects further initialisations. Idempotent: all calls share the outcome. */
  async close(options: CleanupAllOptions = {}): Promise<void> {
    parseOptions(cleanupAllSchema, options, 'close')
    // This call may have less time than the first one.
    if (this.#closing !== undefined && options.timeoutMs !== undefined) return this.cleanupAll(options)
    // Closed before the cleanup begins, so that a listener cannot initialise another resource.
    this.#closing ??= Promise.resolve().then(() => this.cleanupAll(options))
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * Returns the value that the resource's initializer made.
   * @throws ERR_RESOURCE_NOT_FOUND if no resource has that name, or it is not running.
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
   * Runs the type's health checker; a check that has not returned is shared, not repeated. A resource that is
   * not running is unhealthy.
   * @throws ERR_RESOURCE_NOT_FOUND
   */
  async checkResourceHealth(name: string): Promise<ResourceHealth> {
    return this.#check(this.#require(name))
  }

  /** Checks all resources except those that have been cleaned up. */
  checkAllResourcesHealth(): Promise<ResourceHealth[]> {
    const expected = [...this.#resources.values()].filter(({ machine }) => !machine.is('stopped'))
    return Promise.all(expected.map((resource) => this.#check(resource)))
  }

  /** Returns all resources, also those that were cleaned up, in the order of their first initialisation. */
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
    throw new errors.ERR_RUNTIME_CLOSED('the resource manager is closed; create another one')
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
      `there is no resource type ${JSON.stringify(resourceType)}; known: ${list(this.#types.keys())}; register it with registerResourceType`,
    )
  }

  /** Returns a dependency, which must be running or being initialised; that rules out cycles. */
  #requireDependency(name: string, other: string): ManagedResource {
    if (other === name) {
      throw new errors.ERR_INVALID_OPTIONS(`initializeResource: ${name} depends on itself`)
    }
    const resource = this.#resources.get(other)
    if (resource === undefined) {
      throw new errors.ERR_RESOURCE_NOT_FOUND(
        `resource ${name} depends on ${JSON.stringify(other)}, which is unknown; initialise that first`,
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
  const listed = [...names].slice(0, 10)
  return listed.length === 0 ? 'none' : listed.join(', ')
}
