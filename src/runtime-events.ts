import { transitionOf } from './lifecycle/transition-event.js'
import type { ServingEvents } from './models/serving.js'
import type { StuckReplica } from './pools/replica.js'
import type { Announcer } from './telemetry/announcer.js'
import type { EngineSubscriber, ReplicaStuckEvent } from './telemetry/event-map.js'
import { modelSubject } from './telemetry/subject.js'

/** What `runtime` emits. */
export interface RuntimeEvents extends ServingEvents {
  closed: [report: CloseReport]
}

export interface CloseReport {
  readonly durationMs: number
  /** Requests that were not answered before the deadline and were rejected. */
  readonly rejected: number
  /** Replicas whose run had not returned; their threads are left to themselves. */
  readonly stuck: readonly StuckReplica[]
  /** Shutdown handlers that failed or were not done in time. */
  readonly failures: readonly Error[]
}

/** Emits engine events in the form that users of a runtime know; `report` returns that of the close. */
export function emitEvents(announcer: Announcer<RuntimeEvents>, report: () => CloseReport): EngineSubscriber {
  return {
    transition: (event) => announcer.tell('transition', transitionOf(event)),
    closed: () => announcer.tell('closed', report()),
  }
}

/** Returns the engine event of a replica in quarantine. */
export function stuckEventOf(stuck: StuckReplica): ReplicaStuckEvent {
  return { subject: modelSubject(stuck), threadId: stuck.threadId, runningMs: stuck.runningMs }
}
