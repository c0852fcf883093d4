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

/** The environment of every model: the ports, the settings, and the locks and budgets that all loads share. */
export interface ModelContext extends Ports {
  readonly config: RuntimeConfig
  readonly logger: Logger
  /** The tracker that records every `predict`. */
  readonly requests: RequestTracker
  /** Aborts when the runtime stops admitting requests. */
  readonly closing: AbortSignal
  /** The asynchronous context of shared work, which must not run in the context of the request that started it. */
  readonly scope: AsyncResource
  readonly hold: HoldLock
  /** Limits the number of loads that run at once. */
  readonly loadLane: Lane
  readonly memoryBudget: MemoryBudget
  /** Detects loads and teardowns that overlap, so that a memory measurement is attributed to one of them only. */
  readonly measurement: ExclusiveMeasurement
  readonly endings: EndingPools
  /** File URL of the loader of each model type; undefined for the built-in one. */
  readonly loaders: Map<string, string | undefined>
  /** Minimum log level of what replicas send, also of replicas that start later. */
  logLevel: LogLevel
  /** The bus of all events of models. */
  readonly events: EngineEvents
}

/** Returns the context of a runtime; `closing` is the signal that aborts when it stops admitting requests. */
export function createContext(
  ports: Ports,
  config: RuntimeConfig,
  logger: Logger,
  requests: RequestTracker,
  closing: AbortSignal,
  events: EngineEvents,
): ModelContext {
  const { clock, memory, memoryBytes, allocator } = ports
  // The default leaves a share of the memory limit to what loads do not reserve, such as inputs and outputs.
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

/** Throws if the runtime is being closed. @throws ERR_RUNTIME_CLOSED */
export function assertOpen({ closing }: Pick<ModelContext, 'closing'>): void {
  if (closing.aborted) throw closedError()
}

export function closedError(): Error {
  return new errors.ERR_RUNTIME_CLOSED('the runtime is closing or closed; create another one')
}
