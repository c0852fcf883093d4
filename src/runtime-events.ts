import type { ArtifactStats } from './artifacts/artifact-stats.js'
import { type Transition, transitionOf } from './lifecycle/state-machine.js'
import type { StuckReplica } from './pools/settings/stuck-replica.js'
import type { Announcer } from './telemetry/announcer.js'
import type { EngineSubscriber, ReplicaStuckEvent } from './telemetry/events/event-map.js'
import { type ModelSubject, modelSubject } from './telemetry/events/subject.js'

/** The events of a runtime. */
export interface RuntimeEvents {
  /** Emitted when the application, a model version or a resource changes its state. */
  transition: [transition: Transition]
  /** Emitted when a version becomes active. */
  promoted: [promotion: Promotion]
  /** Emitted when a replica exits unexpectedly. */
  replicaExited: [exit: ReplicaExit]
  /** Emitted when a run exceeds `stuckAfterMs` and its replica is quarantined. */
  replicaStuck: [stuck: StuckReplica]
  /** Emitted when a batch returned other outputs than its requests alone, so that requests share no more runs. */
  batchingDisabled: [fault: BatchingFault]
  /** Emitted when the first requests of a version without an artifact have decided whether it gets one. */
  artifactDecided: [decision: ArtifactDecision]
  /** Emitted when the runtime has closed. */
  closed: [report: CloseReport]
}

/** A change of the active version of a model. */
export interface Promotion {
  /** Name of the model. */
  readonly model: string
  /** Label of the version that was active before; undefined if there was none. */
  readonly from: string | undefined
  /** Label of the version that is active now. */
  readonly to: string
}

/** An unexpected exit of a replica. */
export interface ReplicaExit {
  /** Name of the model. */
  readonly model: string
  /** Label of the version. */
  readonly version: string
  readonly cause: Error
  /** Delay before it is replaced; undefined if it is not, because the crash budget is spent or it was surplus. */
  readonly restartInMs: number | undefined
}

/** A batch whose outputs differed from those of its requests alone. */
export interface BatchingFault {
  /** Name of the model. */
  readonly model: string
  /** Label of the version. */
  readonly version: string
  /** Description of the difference. */
  readonly reason: string
}

/** The decision on an artifact for a version that was loaded without one. */
export interface ArtifactDecision {
  /** Name of the model. */
  readonly model: string
  /** Label of the version. */
  readonly version: string
  /** The form in which the version is loaded from now on. */
  readonly form: ArtifactStats['form']
  /** The reason for the form `original`; undefined for other forms. */
  readonly reason: string | undefined
}

/** The result of a close. */
export interface CloseReport {
  /** Duration of the close. */
  readonly durationMs: number
  /** Number of requests that did not finish in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned; their threads are abandoned, not terminated. */
  readonly stuck: readonly StuckReplica[]
  /** Errors of shutdown handlers that failed or exceeded their time limit. */
  readonly failures: readonly Error[]
}

/** Returns a subscriber that emits engine events as runtime events; `report` returns the report of the close. */
export function emitEvents(announcer: Announcer<RuntimeEvents>, report: () => CloseReport): EngineSubscriber {
  return {
    transition: (event) => announcer.emit('transition', transitionOf(event)),
    promoted: ({ subject, from }) =>
      announcer.emit('promoted', { model: subject.model, from, to: subject.version }),
    replicaExited: (event) => announcer.emit('replicaExited', flat(event)),
    replicaStuck: (event) => announcer.emit('replicaStuck', flat(event)),
    batchingDisabled: (event) => announcer.emit('batchingDisabled', flat(event)),
    artifactDecided: (event) => announcer.emit('artifactDecided', flat(event)),
    closed: () => announcer.emit('closed', report()),
  }
}

/** Returns the engine event for a stuck replica. */
export function stuckEventOf(stuck: StuckReplica): ReplicaStuckEvent {
  return { subject: modelSubject(stuck), threadId: stuck.threadId, runningMs: stuck.runningMs }
}

/** Returns an event with the fields of its subject in place of the subject. */
function flat<T extends { readonly subject: ModelSubject }>({ subject, ...fields }: T) {
  return { model: subject.model, version: subject.version, ...fields }
}
