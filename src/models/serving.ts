import { AsyncResource } from 'node:async_hooks'
import { Lane } from '../async/lane.js'
import type { RuntimeConfig } from '../config.js'
import { errors } from '../errors.js'
import { MemoryGovernor } from '../memory/governor.js'
import { Overlap } from '../memory/overlap.js'
import type { VersionPool } from '../pools/version-pool.js'
import type { LogLevel } from '../protocol/messages.js'
import type { RequestTracker } from '../requests/request-tracker.js'
import type { EngineEvents } from '../telemetry/engine-events.js'
import type { Logger } from '../telemetry/logger.js'
import { Catalogue } from './catalogue.js'
import type { Ports } from './ports.js'

export { inBackground } from '../telemetry/in-background.js'

const BUDGET_SHARE = 0.9

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
  /** Where everything that happens to models is published. */
  readonly events: EngineEvents
}

export function createServing(
  ports: Ports,
  config: RuntimeConfig,
  logger: Logger,
  requests: RequestTracker,
  events: EngineEvents,
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
    events,
  }
}

/** @throws ERR_RUNTIME_CLOSED */
export function assertOpen(serving: Serving): void {
  if (!serving.isOpen) {
    throw new errors.ERR_RUNTIME_CLOSED('the runtime is closing or closed; create another one to go on')
  }
}
