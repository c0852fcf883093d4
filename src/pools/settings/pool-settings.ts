import type { Outbox } from '../../async/outbox.js'
import type { GcBallast } from '../../memory/gc-ballast.js'
import type { Clock } from '../../platform/clock.js'
import type { LoadDone } from '../../protocol/replica/replica-replies.js'
import type { LoadTask } from '../../protocol/replica/replica-task.js'
import type { Outputs, Signature, Tensor } from '../../tensors/tensor.js'
import type { BatchingSettings, BatchingStats } from '../batching/batching.js'
import type { StuckReplica } from './stuck-replica.js'

export interface PoolSettings {
  readonly clock: Clock
  /** Counts what is received from the threads. */
  readonly ballast: Pick<GcBallast, 'join' | 'leave' | 'count'>
  /** Held during each operation of the pool, so that listeners of the application are called between two. */
  readonly outbox: Outbox
  readonly model: string
  readonly version: string
  readonly replicas: number
  readonly maxQueue: number
  readonly stuckAfterMs: number
  readonly loadTimeoutMs: number
  readonly crashBudget: number
  readonly crashWindowMs: number
  readonly restartBackoffMs: number
  readonly maxRestartBackoffMs: number
  /** Requests that are run one after another travel together for as long as they take so long. */
  readonly maxPackMs: number
  /** And not more bytes of inputs and answers than that. */
  readonly maxPackBytes: number
  /** Absent if requests never share a run. */
  readonly batching: BatchingSettings | undefined
}

/** A known input that every replica runs before it serves, and the judge of its answer. */
export interface WarmUp {
  inputs(signature: Signature): Tensor[]
  /** Throws ERR_WARMUP if the answer is not the expected one. */
  check(outputs: Outputs): void
}

/** What every replica of a pool loads, and runs first. */
export interface PoolSource {
  readonly task: LoadTask
  readonly warmUp?: WarmUp | undefined
  /** Called with the report of each replica's load; throws if that is not what the version answers from. */
  readonly onLoaded?: ((loaded: LoadDone) => void) | undefined
  /** Waits for a place among the loads that may run at the same time; for all replicas but the first. */
  readonly inTurn?: ((load: () => Promise<void>) => Promise<void>) | undefined
  /**
   * Gives back what the replicas have loaded. The pool owns that: it calls this exactly once, when it has been
   * stopped and its last thread has ended, or when it is stopped without ever having been started.
   */
  readonly dispose?: (() => Promise<void>) | undefined
}

export interface PoolListener {
  /** A replica died or was given up; it is replaced after `restartInMs`; undefined is not at all. */
  replicaLost(cause: Error, restartInMs: number | undefined): void
  /** A run does not return; its replica is in quarantine. */
  replicaStuck(stuck: StuckReplica): void
  /** The crash budget is spent; the pool has stopped admitting. */
  poolFailed(cause: Error): void
  /** It is known whether requests can share runs; undefined if they can, else why not. */
  batchingDecided(refusal: string | undefined): void
  /** A batch was answered otherwise than its requests one by one: they share no runs any more. */
  batchingFailed(reason: string): void
  /** Something has thrown that must not; what is under way goes on without it. */
  unexpected(error: unknown): void
}

export interface PoolStats {
  /** How many replicas there are to be. */
  readonly wanted: number
  readonly replicas: number
  readonly idle: number
  readonly busy: number
  readonly starting: number
  readonly quarantined: number
  readonly queued: number
  /** Requests that a replica is running for a caller who still waits. */
  readonly inFlight: number
  /** Replacements of dead or stuck replicas so far. */
  readonly restarts: number
  /** Whether replicas that are wanted are just being started, of which none has failed. */
  readonly isGrowing: boolean
  /** Why the last replica could not be started, until all that are wanted serve. */
  readonly fault: string | undefined
  readonly batching: BatchingStats
}
