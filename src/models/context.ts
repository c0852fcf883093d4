import { AsyncResource } from 'node:async_hooks'
import type { ArtifactStats } from '../artifacts/artifact-stats.js'
import { Lane } from '../async/lane.js'
import type { RuntimeConfig } from '../config.js'
import { errors } from '../errors.js'
import type { Transition } from '../lifecycle/states.js'
import { MemoryGovernor } from '../memory/governor.js'
import { Overlap } from '../memory/overlap.js'
import type { StuckReplica } from '../pools/replica.js'
import type { LogLevel } from '../protocol/messages.js'
import type { RequestTracker } from '../requests/request-tracker.js'
import type { Logger } from '../telemetry/logger.js'
import { EndingPools } from './ending-pools.js'
import { type HoldLock, holdLock } from './locks.js'
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

/** The surroundings of every model: the ports, the settings, and the means that all loads share. */
export interface ModelContext extends Ports {
  readonly config: RuntimeConfig
  readonly logger: Logger
  /** Every `predict` is one of its requests. */
  readonly requests: RequestTracker
  /** Aborted when the runtime admits nothing more. */
  readonly closing: AbortSignal
  /** Shared work runs in here, never in the context of the request that happened to start it. */
  readonly scope: AsyncResource
  readonly hold: HoldLock
  /** Limits how many loads run at once. */
  readonly loadLane: Lane
  readonly governor: MemoryGovernor
  /** Tells whether a load or an end of a pool was alone while it was measured. */
  readonly overlap: Overlap
  readonly endings: EndingPools
  /** File URL of the loader of each model type; undefined for the built-in one. */
  readonly loaders: Map<string, string | undefined>
  /** Least severe level that replicas send; those that are started later have it too. */
  logLevel: LogLevel
  emit<K extends keyof ServingEvents>(event: K, ...payload: ServingEvents[K]): void
}

export function createContext(
  ports: Ports,
  config: RuntimeConfig,
  logger: Logger,
  requests: RequestTracker,
  closing: AbortSignal,
  emit: ModelContext['emit'],
): ModelContext {
  const { clock, meter, memoryBytes, reclaimer } = ports
  // By default the limit of this process, less a share for memory that no load asks for.
  const budgetBytes = config.memory.budgetBytes ?? Math.floor(BUDGET_SHARE * memoryBytes)
  return {
    ...ports,
    config,
    logger,
    requests,
    closing,
    scope: new AsyncResource('tbcoin-engine.runtime'),
    hold: ports.hold ?? holdLock,
    loadLane: new Lane(clock, config.maxConcurrentLoads),
    governor: new MemoryGovernor(budgetBytes, async () => (await meter.recent()).pssBytes),
    overlap: new Overlap(),
    endings: new EndingPools(clock, logger, reclaimer),
    loaders: new Map([['onnx', undefined]]),
    logLevel: config.logLevel,
    emit,
  }
}

/** @throws ERR_RUNTIME_CLOSED */
export function assertOpen({ closing }: Pick<ModelContext, 'closing'>): void {
  if (closing.aborted) throw closedError()
}

export function closedError(): Error {
  return new errors.ERR_RUNTIME_CLOSED('the runtime is closing or closed; create another one to go on')
}

/** Lets `work` go on without a caller who awaits it: a failure becomes a log line, not an unhandled rejection. */
export function inBackground(
  { logger }: Pick<ModelContext, 'logger'>,
  work: Promise<unknown>,
  what: string,
): void {
  work.catch((err: unknown) => logger.error({ err }, `${what} failed`))
}
