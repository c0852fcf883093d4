import type { HealthStatus } from '../lifecycle/health/health-check.js'
import { type LifecycleState, StateMachine, type TransitionListener } from '../lifecycle/state-machine.js'
import type { Clock } from '../platform/clock.js'
import type { ResourceType } from './resource-type.js'

/** A health check that has not returned; all callers share it. */
export interface RunningCheck {
  readonly startedAtMs: number
  /** The result for callers that come before its time limit. */
  readonly report: Promise<ResourceHealth>
}

/** The result of a health check of one resource. */
export interface ResourceHealth {
  readonly name: string
  readonly status: HealthStatus
  /** Time that the check took, or has taken so far, in milliseconds. */
  readonly durationMs: number
  /** The problem, in a sentence; absent if the resource is healthy. */
  readonly error?: string
  /** The error behind it, if there is one. */
  readonly cause?: unknown
  /** Time of this result, in milliseconds since the epoch. */
  readonly checkedAt: number
}

/** The value of an initialised resource, until its cleaner is called. */
export interface Held {
  readonly value: unknown
  readonly type: ResourceType
  /** The health check that has not returned. */
  check: RunningCheck | undefined
}

/** An initialisation under way. */
export interface Initializing {
  /** The resource's value. */
  readonly promise: Promise<unknown>
  /** Rejects the callers with `reason` at once. */
  abort(reason: Error): void
}

/** A cleanup under way. */
export interface Ending {
  /** The failure; undefined if the cleanup succeeded. */
  readonly outcome: Promise<Error | undefined>
  /** Calls the cleaner now, without waiting for the resources before it. */
  hurry(): void
}

export interface ResourceSettings {
  readonly type: ResourceType
  readonly config: unknown
  readonly dependsOn: readonly string[]
}

/** One line of `listResources()`. */
export interface ResourceInfo {
  readonly name: string
  readonly type: string
  readonly state: LifecycleState
  readonly dependsOn: readonly string[]
  /** Time at which it entered this state, in milliseconds since the epoch. */
  readonly since: number
  /** The error behind the state, if there is one. */
  readonly cause: unknown
}

/** The state of one resource, by its name. */
export class ManagedResource {
  readonly name: string
  readonly machine: StateMachine
  settings: ResourceSettings
  held: Held | undefined
  initializing: Initializing | undefined
  ending: Ending | undefined
  /** Abandoned initializers that have not returned, or whose late value is being cleaned up. */
  readonly leftovers = new Set<Promise<Error | undefined>>()
  /** Position in the order of initialisation; undefined until it is initialised. */
  initializedAs: number | undefined
  #since: number

  constructor(clock: Clock, name: string, settings: ResourceSettings, onChange: TransitionListener) {
    this.#since = clock.epoch()
    this.name = name
    this.settings = settings
    this.machine = new StateMachine(clock, { kind: 'resource', name }, (event) => {
      this.#since = event.at
      // The config is dropped, since it may be large and hold secrets.
      if (this.machine.is('stopped', 'error')) this.settings = { ...this.settings, config: undefined }
      onChange(event)
    })
  }

  /** True if it has, or may still get, a value to clean up. */
  get isLive(): boolean {
    return !this.machine.is('uninitialized', 'stopped', 'error') || this.leftovers.size > 0
  }

  info(): ResourceInfo {
    return {
      name: this.name,
      type: this.settings.type.name,
      state: this.machine.state,
      dependsOn: this.settings.dependsOn,
      since: this.#since,
      cause: this.machine.cause,
    }
  }
}
