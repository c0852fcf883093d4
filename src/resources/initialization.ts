import { untilAborted } from '../async/until-aborted.js'
import { errors, messageOf } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type { EngineEvents } from '../telemetry/events/engine-events.js'
import type { Logger } from '../telemetry/logger.js'
import { cleanValue } from './clean-value.js'
import type { Initializing, ManagedResource } from './managed-resource.js'
import type { RetryPolicy } from './resource-options.js'
import type { InitializerContext } from './resource-type.js'
import { retry } from './retry.js'

const TRIGGER = 'initializeResource'
const ONCE: RetryPolicy = { attempts: 1, minDelayMs: 0, maxDelayMs: 0, factor: 1 }

export interface InitializationRequest {
  readonly dependencies: readonly ManagedResource[]
  readonly retry: RetryPolicy | undefined
  readonly timeoutMs: number
}

/** The ports of a manager; they default to those of the machine, and to a new event bus. */
export interface ResourcePorts {
  readonly clock?: Clock
  readonly random?: Random
  readonly events?: EngineEvents
}

/** The parts of a manager that its initialisations use. */
export interface InitializationPorts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly cleanupTimeoutMs: number
  /** Returns the next number, counted up with each call. */
  nextOrder(): number
}

/** One initialisation, from its call until the resource is running or in error. */
export class Initialization implements Initializing {
  readonly promise: Promise<unknown>
  readonly #resource: ManagedResource
  readonly #request: InitializationRequest
  readonly #ports: InitializationPorts
  readonly #controller = new AbortController()

  constructor(resource: ManagedResource, request: InitializationRequest, ports: InitializationPorts) {
    this.#resource = resource
    this.#request = request
    this.#ports = ports
    // Starts later, so that the caller can store this object first.
    this.promise = Promise.resolve().then(() => this.#run())
    this.promise.catch(() => undefined)
  }

  abort(reason: Error): void {
    this.#controller.abort(reason)
  }

  async #run(): Promise<unknown> {
    const { name, machine } = this.#resource
    const { retry: policy = ONCE, timeoutMs } = this.#request
    const { signal } = this.#controller
    const { clock } = this.#ports
    const timer =
      timeoutMs === 0 ? undefined : clock.setTimeout(() => this.abort(tooLate(name, timeoutMs)), timeoutMs)
    try {
      const context = this.#context(await this.#dependencyValues())
      return this.#publish(await this.#attempts(policy, context))
    } catch (error) {
      const failure: unknown = signal.aborted ? signal.reason : error
      // Otherwise a cleanup has changed the state already.
      if (machine.is('initializing')) machine.to('error', TRIGGER, failure)
      throw failure
    } finally {
      clock.clear(timer)
      if (this.#resource.initializing === this) this.#resource.initializing = undefined
    }
  }

  async #dependencyValues(): Promise<ReadonlyMap<string, unknown>> {
    const values = new Map<string, unknown>()
    for (const { name, machine, held, initializing } of this.#request.dependencies) {
      if (machine.is('initializing') && initializing !== undefined) {
        try {
          values.set(name, await untilAborted(this.#controller.signal, () => initializing.promise))
        } catch (cause) {
          throw new errors.ERR_RESOURCE_INIT(
            `resource ${this.#resource.name} could not be initialised because ${name}, which it depends on, was not: ${messageOf(cause)}`,
            { cause },
          )
        }
      } else {
        values.set(name, held?.value)
      }
    }
    return values
  }

  async #attempts(policy: RetryPolicy, context: InitializerContext): Promise<unknown> {
    const { name, settings } = this.#resource
    const { signal } = this.#controller
    const attempt = (): Promise<unknown> =>
      untilAborted(
        signal,
        () => settings.type.initializer(settings.config, context),
        (working) => this.#abandon(working),
      )
    try {
      return await retry(this.#ports, attempt, policy, signal, (err, failures, delayMs) => {
        this.#ports.logger.warn(
          { resource: name, failures, attempts: policy.attempts, delayMs: Math.round(delayMs), err },
          'initializer failed; retrying',
        )
      })
    } catch (cause) {
      const tries = policy.attempts === 1 ? '' : ` in ${policy.attempts} attempts`
      throw new errors.ERR_RESOURCE_INIT(
        `resource ${name} could not be initialised${tries}: ${messageOf(cause)}`,
        { cause },
      )
    }
  }

  /**
   * Makes the value available and moves the resource to `running`, in one synchronous step unless a listener
   * cleans it up.
   */
  #publish(value: unknown): unknown {
    const resource = this.#resource
    const { signal } = this.#controller
    if (signal.aborted) {
      this.#abandon(Promise.resolve(value))
      throw signal.reason
    }
    resource.held = { value, type: resource.settings.type, check: undefined }
    resource.initializedAs = this.#ports.nextOrder()
    for (const state of ['ready', 'starting', 'running'] as const) {
      signal.throwIfAborted()
      resource.machine.to(state, TRIGGER)
    }
    return value
  }

  /** Abandons an initializer; a value that it still makes is cleaned up. */
  #abandon(working: Promise<unknown>): void {
    const { name, leftovers, settings } = this.#resource
    const { clock, cleanupTimeoutMs, logger } = this.#ports
    const clean = (value: unknown): Promise<void> =>
      cleanValue(clock, name, settings.type, value, cleanupTimeoutMs)
    const leftover: Promise<Error | undefined> = working
      .then(clean, () => undefined)
      .then(
        () => undefined,
        (err: Error) => {
          logger.error({ resource: name, err }, 'value of a late initializer could not be cleaned up')
          return err
        },
      )
      .finally(() => leftovers.delete(leftover))
    leftovers.add(leftover)
  }

  #context(values: ReadonlyMap<string, unknown>): InitializerContext {
    const { name } = this.#resource
    return {
      name,
      signal: this.#controller.signal,
      logger: this.#ports.logger.child({ resource: name }),
      resource<T>(other: string): T {
        if (values.has(other)) return values.get(other) as T
        throw new errors.ERR_RESOURCE_NOT_FOUND(
          `resource ${name} does not depend on ${JSON.stringify(other)}; name it in \`dependsOn\``,
        )
      },
    }
  }
}

function tooLate(name: string, timeoutMs: number): Error {
  return new errors.ERR_RESOURCE_INIT(
    `resource ${name} was not initialised within ${timeoutMs} ms (\`timeoutMs\`); a value that its initializer still makes is cleaned up`,
  )
}
