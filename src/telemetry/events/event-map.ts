import type { ArtifactForm } from '../../protocol/builder/builder-messages.js'
import type { LifecycleState } from '../../state/lifecycle-state.js'
import type { ApplicationSubject, ModelSubject, Subject } from './subject.js'

/** A component has moved to another state. */
export interface TransitionEvent {
  readonly subject: Subject
  readonly from: LifecycleState
  readonly to: LifecycleState
  /** The operation that asked for the move, for example `hotSwapModel`. */
  readonly trigger: string
  /** The error behind the move, if there was one. */
  readonly cause?: unknown
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** The version has become the active one. */
export interface PromotedEvent {
  readonly subject: ModelSubject
  /** The version that was active before, if there was one. */
  readonly from: string | undefined
}

/** A replica has died or was given up. */
export interface ReplicaExitedEvent {
  readonly subject: ModelSubject
  readonly cause: Error
  /** Undefined if the replica is not replaced: the crash budget is spent, or it was one too many. */
  readonly restartInMs: number | undefined
}

/** A replica was put in quarantine. */
export interface ReplicaStuckEvent {
  readonly subject: ModelSubject
  readonly threadId: number | undefined
  /** The time that its run has taken so far. */
  readonly runningMs: number
}

/** A check has found a batch whose outputs differ from those of its requests alone. */
export interface BatchingDisabledEvent {
  readonly subject: ModelSubject
  readonly reason: string
}

/** A version that was loaded without an artifact has got one from its first requests, or will get none. */
export interface ArtifactDecidedEvent {
  readonly subject: ModelSubject
  /** The form that serves the version from now on. */
  readonly form: ArtifactForm | 'original'
  /** The reason why it is the original; undefined if it is not. */
  readonly reason: string | undefined
}

/** A runtime has closed. */
export interface ClosedEvent {
  readonly subject: ApplicationSubject
  readonly durationMs: number
  /** Requests that were not answered before the deadline and were rejected. */
  readonly rejected: number
  /** Replicas whose run had not returned. */
  readonly stuck: readonly ReplicaStuckEvent[]
  /** Shutdown handlers that failed or were not done in time. */
  readonly failures: readonly Error[]
}

/** Every event of the engine, by name. */
export interface EngineEventMap {
  transition: TransitionEvent
  promoted: PromotedEvent
  replicaExited: ReplicaExitedEvent
  replicaStuck: ReplicaStuckEvent
  batchingDisabled: BatchingDisabledEvent
  artifactDecided: ArtifactDecidedEvent
  closed: ClosedEvent
}

export type EngineEventName = keyof EngineEventMap

/** The names of all events, as keys, so that the compiler notices one that is missing. */
export const ENGINE_EVENTS: Readonly<Record<EngineEventName, true>> = {
  transition: true,
  promoted: true,
  replicaExited: true,
  replicaStuck: true,
  batchingDisabled: true,
  artifactDecided: true,
  closed: true,
}

/** Handlers of events, each by the name of its event. */
export type EngineSubscriber = {
  readonly [Name in EngineEventName]?: (event: EngineEventMap[Name]) => void
}
