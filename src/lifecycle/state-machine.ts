import type { Clock } from '../platform/clock.js'
import type { LifecycleState } from '../state/lifecycle-state.js'
import { illegalTransition, type Transitions } from '../state/transitions.js'
import type { TransitionEvent } from '../telemetry/events/event-map.js'
import { componentOf, type Subject } from '../telemetry/events/subject.js'

export { LIFECYCLE_STATES, type LifecycleState } from '../state/lifecycle-state.js'

/**
 * The states that may follow each state; all other moves are illegal. `running → ready` puts an active version on
 * standby, `stopped → initializing` loads a version again after an eviction, and `error → initializing` retries.
 */
export const TRANSITIONS: Transitions<LifecycleState> = {
  uninitialized: ['initializing', 'stopped'],
  initializing: ['ready', 'stopping', 'error'],
  ready: ['starting', 'stopping', 'error'],
  starting: ['running', 'stopping', 'error'],
  running: ['ready', 'stopping', 'error'],
  stopping: ['stopped', 'error'],
  stopped: ['initializing'],
  error: ['initializing', 'stopping', 'stopped'],
}

/** A change of state of one component, as emitters emit it. */
export interface Transition {
  /** The component, for example `model vad@5`. */
  readonly component: string
  readonly from: LifecycleState
  readonly to: LifecycleState
  /** The operation that requested the change, for example `hotSwapModel`. */
  readonly trigger: string
  /** The error behind the change, if there is one. */
  readonly cause?: unknown
  /** Time of the change, in milliseconds since the epoch. */
  readonly at: number
}

/** A listener for changes of state. */
export type TransitionListener = (event: TransitionEvent) => void

/** Converts an engine event to the form that emitters emit. */
export function transitionOf({ subject, ...move }: TransitionEvent): Transition {
  return { component: componentOf(subject), ...move }
}

interface Waiter {
  readonly states: ReadonlySet<LifecycleState>
  resolve(state: LifecycleState): void
}

/** Holds the state of one component, which changes only by a legal `to()`. */
export class StateMachine {
  readonly #clock: Clock
  readonly subject: Subject
  #state: LifecycleState = 'uninitialized'
  #cause: unknown
  #listeners: TransitionListener[] = []
  #waiters = new Set<Waiter>()

  constructor(clock: Clock, subject: Subject, onChange?: TransitionListener) {
    this.#clock = clock
    this.subject = subject
    if (onChange !== undefined) this.#listeners.push(onChange)
  }

  /** Current state. */
  get state(): LifecycleState {
    return this.#state
  }

  /** The `cause` of the last change; undefined if it had none. */
  get cause(): unknown {
    return this.#cause
  }

  /** Returns true if the component is in one of `states`. */
  is(...states: readonly LifecycleState[]): boolean {
    return states.includes(this.#state)
  }

  /**
   * Changes the state to `next` and calls the listeners synchronously.
   * @throws ERR_ILLEGAL_TRANSITION if `next` cannot follow the current state
   */
  to(next: LifecycleState, trigger: string, cause?: unknown): void {
    const from = this.#state
    if (!TRANSITIONS[from].includes(next)) {
      throw illegalTransition(TRANSITIONS, componentOf(this.subject), from, next, { trigger, cause })
    }
    this.#state = next
    this.#cause = cause
    const event: TransitionEvent = {
      subject: this.subject,
      from,
      to: next,
      trigger,
      at: this.#clock.epoch(),
      ...(cause === undefined ? {} : { cause }),
    }
    for (const listener of [...this.#listeners]) listener(event)
    for (const waiter of this.#waiters) {
      if (!waiter.states.has(next)) continue
      this.#waiters.delete(waiter)
      waiter.resolve(next)
    }
  }

  /** Resolves with the first of `states` that the component reaches, or with its current one if that is among them. */
  waitFor(...states: readonly LifecycleState[]): Promise<LifecycleState> {
    if (this.is(...states)) return Promise.resolve(this.#state)
    return new Promise((resolve) => {
      this.#waiters.add({ states: new Set(states), resolve })
    })
  }

  /** Calls `listener` on every change; returns a function that removes it. */
  onChange(listener: TransitionListener): () => void {
    this.#listeners.push(listener)
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }
}
