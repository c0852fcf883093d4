import type { TransitionEvent } from '../telemetry/event-map.js'
import { componentOf, type Subject } from '../telemetry/subject.js'
import type { Transition } from './states.js'

/** Returns the engine event of a move of `subject`. */
export function eventOf(subject: Subject, { component: _, ...move }: Transition): TransitionEvent {
  return { subject, ...move }
}

/** Returns what emitters of this package emit for an engine event. */
export function transitionOf({ subject, ...move }: TransitionEvent): Transition {
  return { component: componentOf(subject), ...move }
}
