import { AsyncResource } from 'node:async_hooks'
import { Lane } from '../../async/lane.js'
import type { RuntimeConfig } from '../../config/runtime-options.js'
import { errors } from '../../errors/errors.js'
import { ExclusiveMeasurement } from '../../memory/exclusive-measurement.js'
import { MemoryBudget } from '../../memory/memory-budget.js'
import type { LogLevel } from '../../protocol/replica/log-line.js'
import type { RequestTracker } from '../../requests/request-tracker.js'
import type { EngineEvents } from '../../telemetry/events/engine-events.js'
import type { Logger } from '../../telemetry/logger.js'
import { EndingPools } from './ending-pools.js'
import { type HoldLock, holdLock } from './locks.js'
import type { Ports } from './ports.js'

const BUDGET_SHARE = 0.9

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
  readonly memoryBudget: MemoryBudget
  /** Tells whether a load or an end of a pool was alone while it was measured. */
  readonly measurement: ExclusiveMeasurement
  readonly endings: EndingPools
  /** File URL of the loader of each model type; undefined for the built-in one. */
  readonly loaders: Map<string, string | undefined>
  /** Least severe level that replicas send; those that are started later have it too. */
  logLevel: LogLevel
  /** The bus of all events of models. */
  readonly events: EngineEvents
}

export function createContext(
  ports: Ports,
  config: RuntimeConfig,
  logger: Logger,
  requests: RequestTracker,
  closing: AbortSignal,
  events: EngineEvents,
): ModelContext {
  const { clock, memory, memoryBytes, allocator } = ports
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
    memoryBudget: new MemoryBudget(budgetBytes, async () => (await memory.recent()).pssBytes),
    measurement: new ExclusiveMeasurement(),
    endings: new EndingPools(clock, logger, allocator),
    loaders: new Map([['onnx', undefined]]),
    logLevel: config.logLevel,
    events,
  }
}

/** @throws ERR_RUNTIME_CLOSED */
export function assertOpen({ closing }: Pick<ModelContext, 'closing'>): void {
  if (closing.aborted) throw closedError()
}

export function closedError(): Error {
  return new errors.ERR_RUNTIME_CLOSED('the runtime is closing or closed; create another one to go on')
}
