import type { ArtifactStats } from './artifacts/artifact-stats.js'
import { type Transition, transitionOf } from './lifecycle/state-machine.js'
import type { StuckReplica } from './pools/settings/stuck-replica.js'
import type { Announcer } from './telemetry/announcer.js'
import type { EngineSubscriber, ReplicaStuckEvent } from './telemetry/events/event-map.js'
import { type ModelSubject, modelSubject } from './telemetry/events/subject.js'

/** The events of a runtime. */
export interface RuntimeEvents {
  transition: [transition: Transition]
  promoted: [promotion: Promotion]
  replicaExited: [exit: ReplicaExit]
  replicaStuck: [stuck: StuckReplica]
  /** A check has found a batch that was answered otherwise than its requests alone. */
  batchingDisabled: [fault: BatchingFault]
  /** A version that was served as it is has got an artifact from its first requests, or will get none. */
  artifactDecided: [decision: ArtifactDecision]
  closed: [report: CloseReport]
}

export interface Promotion {
  readonly model: string
  readonly from: string | undefined
  readonly to: string
}

export interface ReplicaExit {
  readonly model: string
  readonly version: string
  readonly cause: Error
  /** Undefined when it is not replaced: the crash budget is spent, or it was one too many. */
  readonly restartInMs: number | undefined
}

export interface BatchingFault {
  readonly model: string
  readonly version: string
  readonly reason: string
}

export interface ArtifactDecision {
  readonly model: string
  readonly version: string
  /** The form that serves the version from now on. */
  readonly form: ArtifactStats['form']
  /** The reason why it is the original; undefined if it is not. */
  readonly reason: string | undefined
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

/** Returns the engine event of a replica in quarantine. */
export function stuckEventOf(stuck: StuckReplica): ReplicaStuckEvent {
  return { subject: modelSubject(stuck), threadId: stuck.threadId, runningMs: stuck.runningMs }
}

/** Returns an event of a version with the subject's fields among its own. */
function flat<T extends { readonly subject: ModelSubject }>({ subject, ...fields }: T) {
  return { model: subject.model, version: subject.version, ...fields }
}
