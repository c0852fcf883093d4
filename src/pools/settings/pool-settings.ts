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
  /** Counts the memory of outputs received from threads. */
  readonly ballast: Pick<GcBallast, 'join' | 'leave' | 'count'>
  /** Holds back calls to listeners of the application during each operation of the pool. */
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
  /** Upper bound on the expected duration of a pack in milliseconds; 0 disables packs of several runs. */
  readonly maxPackMs: number
  /** Upper bound on the bytes of inputs and outputs of such a pack. */
  readonly maxPackBytes: number
  /** Settings of batching; undefined disables it. */
  readonly batching: BatchingSettings | undefined
}

/** A known input that every replica runs before it serves, and the check of its outputs. */
export interface WarmUp {
  inputs(signature: Signature): Tensor[]
  /**
   * Checks the outputs of the run.
   * @throws ERR_WARMUP if they are not the expected ones
   */
  check(outputs: Outputs): void
}

/** The model that every replica of a pool loads, and the input that it runs first. */
export interface PoolSource {
  readonly task: LoadTask
  readonly warmUp?: WarmUp | undefined
  /** Called with the report of each replica's load; throws if the loaded content is not that of the version. */
  readonly onLoaded?: ((loaded: LoadDone) => void) | undefined
  /**
   * Runs `load` when there is a place among the loads that may run at the same time; used for all replicas but the
   * first.
   */
  readonly inTurn?: ((load: () => Promise<void>) => Promise<void>) | undefined
  /**
   * Releases what the replicas have loaded. The pool calls this exactly once: when it has been stopped and its last
   * thread has ended, or when it is stopped without ever having been started.
   */
  readonly dispose?: (() => Promise<void>) | undefined
}

export interface PoolListener {
  /**
   * A replica died, was quarantined or could not be started; it is replaced after `restartInMs`, or not at all if
   * that is undefined.
   */
  replicaLost(cause: Error, restartInMs: number | undefined): void
  /** A run exceeded `stuckAfterMs`; its replica is in quarantine. */
  replicaStuck(stuck: StuckReplica): void
  /** The crash budget is spent; the pool admits no more requests. */
  poolFailed(cause: Error): void
  /** Batching is decided; `refusal` is the reason why requests cannot share runs, or undefined if they can. */
  batchingDecided(refusal: string | undefined): void
  /** The outputs of a batch differed from those of its requests alone; batching is disabled. */
  batchingFailed(reason: string): void
  /** An internal operation has thrown unexpectedly; the current operation goes on without it. */
  unexpected(error: unknown): void
}

/** Counts of the replicas and requests of one pool. */
export interface PoolStats {
  /** Target number of replicas. */
  readonly wanted: number
  /** Number of replicas, including those being started, but not those in quarantine. */
  readonly replicas: number
  /** Number of replicas that are ready and have nothing to do. */
  readonly idle: number
  /** Number of replicas that run a task. */
  readonly busy: number
  /** Number of replicas that load their model or run the sample. */
  readonly starting: number
  /** Number of replicas whose task has not returned, and that no longer serve. */
  readonly quarantined: number
  /** Number of admitted requests that wait for a replica. */
  readonly queued: number
  /** Number of requests that a replica is running for a caller that still waits. */
  readonly inFlight: number
  /** Number of replacements of dead or stuck replicas so far. */
  readonly restarts: number
  /** True while wanted replicas are being started, none of which has failed. */
  readonly isGrowing: boolean
  /** Reason why the last replica could not be started; undefined once all wanted replicas serve. */
  readonly fault: string | undefined
  readonly batching: BatchingStats
}
