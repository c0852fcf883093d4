import type { Clock } from '../platform/clock.js'
import type { LifecycleState } from '../state/lifecycle-state.js'
import { illegalTransition, type Transitions } from '../state/transitions.js'
import type { TransitionEvent } from '../telemetry/events/event-map.js'
import { componentOf, type Subject } from '../telemetry/events/subject.js'

export { LIFECYCLE_STATES, type LifecycleState } from '../state/lifecycle-state.js'

/**
 * What may follow what; everything else is forbidden. `running → ready` is an
 * active version put on standby; `stopped → initializing` one that is loaded
 * again after an eviction; `error → initializing` another try.
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

/** One move of one component, as emitters emit it. */
export interface Transition {
  /** Who moved, for example `model vad@5`. */
  readonly component: string
  readonly from: LifecycleState
  readonly to: LifecycleState
  /** What asked for the move, for example `hotSwapModel`. */
  readonly trigger: string
  /** The error behind it, if there was one. */
  readonly cause?: unknown
  /** Milliseconds since the epoch. */
  readonly at: number
}

export type TransitionListener = (event: TransitionEvent) => void

export function transitionOf({ subject, ...move }: TransitionEvent): Transition {
  return { component: componentOf(subject), ...move }
}

interface Waiter {
  readonly states: ReadonlySet<LifecycleState>
  resolve(state: LifecycleState): void
}

/** Holds the state of one component; the only way to change it is a legal `to()`. */
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

  get state(): LifecycleState {
    return this.#state
  }

  /** The cause given with the last move. */
  get cause(): unknown {
    return this.#cause
  }

  is(...states: readonly LifecycleState[]): boolean {
    return states.includes(this.#state)
  }

  /**
   * Moves to `next`; listeners run before this returns.
   * @throws ERR_ILLEGAL_TRANSITION if `next` cannot follow the present state.
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

  /** Resolves with the first of `states` the component is in, at once if it is in one now. */
  waitFor(...states: readonly LifecycleState[]): Promise<LifecycleState> {
    if (this.is(...states)) return Promise.resolve(this.#state)
    return new Promise((resolve) => {
      this.#waiters.add({ states: new Set(states), resolve })
    })
  }

  /** Calls `listener` on every move; the returned function ends that. */
  onChange(listener: TransitionListener): () => void {
    this.#listeners.push(listener)
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }
}
