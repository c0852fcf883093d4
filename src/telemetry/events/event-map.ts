import type { ArtifactForm } from '../../protocol/builder/builder-messages.js'
import type { LifecycleState } from '../../state/lifecycle-state.js'
import type { ApplicationSubject, ModelSubject, Subject } from './subject.js'

/** Payload of `transition`: a component has moved to another state. */
export interface TransitionEvent {
  readonly subject: Subject
  readonly from: LifecycleState
  readonly to: LifecycleState
  /** The operation that caused the move, for example `hotSwapModel`. */
  readonly trigger: string
  /** The error behind the move, if there was one. */
  readonly cause?: unknown
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Payload of `promoted`: the version has become the active one of its model. */
export interface PromotedEvent {
  readonly subject: ModelSubject
  /** The version that was active before, if there was one. */
  readonly from: string | undefined
}

/** Payload of `replicaExited`: a replica has exited unexpectedly, was quarantined, or could not be started. */
export interface ReplicaExitedEvent {
  readonly subject: ModelSubject
  /** The reason of the exit. */
  readonly cause: Error
  /**
   * Milliseconds until the replica is replaced; undefined if it is not, because the crash budget is spent or fewer
   * replicas are wanted.
   */
  readonly restartInMs: number | undefined
}

/**
 * Payload of `replicaStuck`: the run of a replica has not returned for `stuckAfterMs`, and the replica was
 * quarantined.
 */
export interface ReplicaStuckEvent {
  readonly subject: ModelSubject
  readonly threadId: number | undefined
  /** Milliseconds that its run has taken so far. */
  readonly runningMs: number
}

/**
 * Payload of `batchingDisabled`: a check found a batch whose outputs differ from those of its requests alone, so that
 * requests of the version share no runs any more.
 */
export interface BatchingDisabledEvent {
  readonly subject: ModelSubject
  readonly reason: string
}

/**
 * Payload of `artifactDecided`: a version that was loaded without an artifact has received one from its first
 * requests, or will receive none.
 */
export interface ArtifactDecidedEvent {
  readonly subject: ModelSubject
  /** The form that serves the version from now on. */
  readonly form: ArtifactForm | 'original'
  /** Reason why the original serves the version; undefined if an artifact does. */
  readonly reason: string | undefined
}

/** Payload of `closed`: a runtime has closed. */
export interface ClosedEvent {
  readonly subject: ApplicationSubject
  /** Milliseconds that the shutdown took. */
  readonly durationMs: number
  /** Number of requests that were rejected because they had not completed at the deadline. */
  readonly rejected: number
  /** Replicas whose run had not returned when the runtime closed. */
  readonly stuck: readonly ReplicaStuckEvent[]
  /** Errors of shutdown handlers that failed or timed out. */
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

/** The names of all events, as keys, so that the compiler reports a missing one. */
export const ENGINE_EVENTS: Readonly<Record<EngineEventName, true>> = {
  transition: true,
  promoted: true,
  replicaExited: true,
  replicaStuck: true,
  batchingDisabled: true,
  artifactDecided: true,
  closed: true,
}

/** Handlers by the name of their event. */
export type EngineSubscriber = {
  readonly [Name in EngineEventName]?: (event: EngineEventMap[Name]) => void
}
