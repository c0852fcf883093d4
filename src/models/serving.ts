import { AsyncResource } from 'node:async_hooks'
import type { ArtifactStats } from '../artifacts/artifact-stats.js'
import { Lane } from '../async/lane.js'
import type { RuntimeConfig } from '../config.js'
import { errors } from '../errors.js'
import type { Transition } from '../lifecycle/states.js'
import { MemoryGovernor } from '../memory/governor.js'
import { Overlap } from '../memory/overlap.js'
import type { StuckReplica } from '../pools/replica.js'
import type { VersionPool } from '../pools/version-pool.js'
import type { LogLevel } from '../protocol/messages.js'
import type { RequestTracker } from '../requests/request-tracker.js'
import type { Logger } from '../telemetry/logger.js'
import { Catalogue } from './catalogue.js'
import type { Ports } from './ports.js'

const BUDGET_SHARE = 0.9

export interface ReplicaExit {
  readonly model: string
  readonly version: string
  readonly cause: Error
  /** Undefined when it is not replaced: the crash budget is spent, or it was one too many. */
  readonly restartInMs: number | undefined
}

export interface Promotion {
  readonly model: string
  readonly from: string | undefined
  readonly to: string
}

export interface BatchingFault {
  readonly model: string
  readonly version: string
  readonly reason: string
}

export interface ArtifactDecision {
  readonly model: string
  readonly version: string
  /** In which the version is served from now on. */
  readonly form: ArtifactStats['form']
  /** Why it is the original; undefined if it is not. */
  readonly reason: string | undefined
}

/** What the parts of this folder tell the world, by name. */
export interface ServingEvents {
  transition: [transition: Transition]
  promoted: [promotion: Promotion]
  replicaExited: [exit: ReplicaExit]
  replicaStuck: [stuck: StuckReplica]
  /** A check has found a batch that was answered otherwise than its requests alone. */
  batchingDisabled: [fault: BatchingFault]
  /** A version that was served as it is has got an artifact from its first requests, or will get none. */
  artifactDecided: [decision: ArtifactDecision]
}

/** What the parts of this folder share. */
export interface Serving extends Ports {
  readonly config: RuntimeConfig
  readonly logger: Logger
  /** Every `predict` is one of its requests. */
  readonly requests: RequestTracker
  /** Shared work runs in here, never in the context of the request that happened to start it. */
  readonly scope: AsyncResource
  /** Limits how many loads run at once. */
  readonly loadLane: Lane
  /** File URL of the loader of each model type; undefined for the built-in one. */
  readonly loaders: Map<string, string | undefined>
  readonly governor: MemoryGovernor
  /** Of loads and ends of pools. */
  readonly overlap: Overlap
  /** Every model that is known. */
  readonly catalogue: Catalogue
  /** Pools on their way out, until their last thread has ended. */
  readonly endingPools: Set<VersionPool>
  /** Ends of pools that have no request left; each resolves when their memory is given back. */
  readonly departures: Set<Promise<unknown>>
  /** Least severe level that replicas send; those that are started later have it too. */
  logLevel: LogLevel
  isOpen: boolean
  emit<K extends keyof ServingEvents>(event: K, ...payload: ServingEvents[K]): void
}

export function createServing(
  ports: Ports,
  config: RuntimeConfig,
  logger: Logger,
  requests: RequestTracker,
  emit: Serving['emit'],
): Serving {
  const { clock, meter, memoryBytes } = ports
  // By default what this process may use, less some for what no load asks for.
  const budgetBytes = config.memory.budgetBytes ?? Math.floor(BUDGET_SHARE * memoryBytes)
  return {
    ...ports,
    config,
    logger,
    requests,
    scope: new AsyncResource('tbcoin-engine.runtime'),
    loadLane: new Lane(clock, config.maxConcurrentLoads),
    loaders: new Map([['onnx', undefined]]),
    governor: new MemoryGovernor(budgetBytes, async () => (await meter.recent()).pssBytes),
    overlap: new Overlap(),
    catalogue: new Catalogue(),
    endingPools: new Set(),
    departures: new Set(),
    logLevel: config.logLevel,
    isOpen: true,
    emit,
  }
}

/** @throws ERR_RUNTIME_CLOSED */
export function assertOpen(serving: Serving): void {
  if (!serving.isOpen) throw closed()
}

export function closed(): Error {
  return new errors.ERR_RUNTIME_CLOSED('the runtime is closing or closed; create another one to go on')
}

/** Lets `work` go on without a caller who awaits it: a failure becomes a log line, not an unhandled rejection. */
export function inBackground(serving: Serving, work: Promise<unknown>, what: string): void {
  work.catch((err: unknown) => serving.logger.error({ err }, `${what} failed`))
}
