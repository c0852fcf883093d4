import type { HealthStatus } from '../lifecycle/health/health-check.js'
import { type LifecycleState, StateMachine, type TransitionListener } from '../lifecycle/state-machine.js'
import type { Clock } from '../platform/clock.js'
import type { ResourceType } from './resource-type.js'

/** A health check that has not returned; all who ask share it. */
export interface RunningCheck {
  readonly startedAtMs: number
  /** What those hear who ask before its time is over. */
  readonly report: Promise<ResourceHealth>
}

/** What a health check found. */
export interface ResourceHealth {
  readonly name: string
  readonly status: HealthStatus
  /** How long the check took, or has been going on. */
  readonly durationMs: number
  /** What is wrong, in a sentence. */
  readonly error?: string
  /** The error behind it, if there is one. */
  readonly cause?: unknown
  /** Milliseconds since the epoch. */
  readonly checkedAt: number
}

/** An initialised resource: what its initializer made, until its cleaner gets it. */
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
  /** Callers are rejected with `reason` at once. */
  abort(reason: Error): void
}

/** A cleanup under way. */
export interface Ending {
  /** What went wrong, if anything did. */
  readonly outcome: Promise<Error | undefined>
  /** Calls the cleaner now, without waiting for those before. */
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
  /** When it came into this state, in milliseconds since the epoch. */
  readonly since: number
  /** The error behind the state, if there is one. */
  readonly cause: unknown
}

/** Everything that is known of one name. */
export class ManagedResource {
  readonly name: string
  readonly machine: StateMachine
  settings: ResourceSettings
  held: Held | undefined
  initializing: Initializing | undefined
  ending: Ending | undefined
  /** Initializers nobody waits for that have not returned, or whose late value is being cleaned up. */
  readonly leftovers = new Set<Promise<Error | undefined>>()
  /** Its place in the order of initialisation, once it has one. */
  initializedAs: number | undefined
  #since: number

  constructor(clock: Clock, name: string, settings: ResourceSettings, onChange: TransitionListener) {
    this.#since = clock.epoch()
    this.name = name
    this.settings = settings
    this.machine = new StateMachine(clock, { kind: 'resource', name }, (event) => {
      this.#since = event.at
      // A config can hold much, and secrets.
      if (this.machine.is('stopped', 'error')) this.settings = { ...this.settings, config: undefined }
      onChange(event)
    })
  }

  /** Whether it has, or may come to have, something to clean up. */
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
