/// <reference types="node" preserve="true" />
export type { ArtifactStats } from './artifacts/artifact-stats.js'
export { type ConfigSources, LifecycleConfig } from './config/lifecycle-config.js'
export type {
  HotSwapOptions,
  LoadModelOptions,
  ModelConfigInput,
  PredictOptions,
} from './config/runtime-options.js'
export { createRuntime, type RuntimeOptions } from './create-runtime.js'
export {
  type AnyRuntimeError,
  ERROR_TABLE,
  type ErrorClass,
  type ErrorCode,
  type ErrorOf,
  errors,
  isRuntimeError,
  RuntimeError,
} from './errors/errors.js'
export {
  type ClosableServer,
  type CloseServerOptions,
  closeServer,
  type ServerClosing,
} from './lifecycle/close-server.js'
export type {
  HandlerContext,
  LifecycleHandler,
  ShutdownOptions,
  ShutdownPhase,
  StartupOptions,
} from './lifecycle/handlers.js'
export type {
  CheckReport,
  HealthAnswer,
  HealthCheck,
  HealthCheckOptions,
  HealthReport,
  HealthStatus,
} from './lifecycle/health/health-monitor.js'
export {
  type LifecycleEvents,
  LifecycleManager,
  type LifecycleManagerOptions,
} from './lifecycle/lifecycle-manager.js'
export {
  LIFECYCLE_STATES,
  type LifecycleState,
  StateMachine,
  TRANSITIONS,
  type Transition,
} from './lifecycle/state-machine.js'
export type { AllocatorStats } from './memory/allocator.js'
export type { BudgetStats } from './memory/memory-budget.js'
export type { DatedReading } from './memory/memory-meter.js'
export { ModelHandle, type ReplicaReport } from './models/model-handle.js'
export { type ModelInfo, ModelLifecycleManager } from './models/model-manager.js'
export type { SwapResult } from './models/rollout/hot-swap.js'
export type { UnloadReport } from './models/unloading/unload.js'
export type { DrainReport } from './models/version/drain.js'
export type { LatencySummary, VersionStats } from './models/version/version-stats.js'
export type { MemoryReading } from './platform/process-memory.js'
export type { BatchingStats } from './pools/batching/batching.js'
export type { PoolStats } from './pools/settings/pool-settings.js'
export type { StuckReplica } from './pools/settings/stuck-replica.js'
export type { LoadedModel, LoaderContext, LoadModel } from './protocol/loader.js'
export { RequestHandle } from './requests/request-handle.js'
export type { RequestCounts } from './requests/request-ledger.js'
export type { RequestInfo } from './requests/request-record.js'
export type { RequestSnapshot } from './requests/request-snapshot.js'
export {
  type OpenRequestState,
  REQUEST_STATES,
  REQUEST_TRANSITIONS,
  type RequestState,
} from './requests/request-states.js'
export {
  RequestTracker,
  type RequestTrackerEvents,
  type RequestTrackerOptions,
} from './requests/request-tracker.js'
export type { ResourceHealth, ResourceInfo } from './resources/managed-resource.js'
export type {
  AcquireOptions,
  ItemContext,
  PooledResourceOptions,
  ReleaseOptions,
} from './resources/pooled/pool-options.js'
export { PooledResource, type PooledResourceStats } from './resources/pooled/pooled-resource.js'
export { type PooledResourceType, pooledResourceType } from './resources/pooled/pooled-resource-type.js'
export {
  type ResourceEvents,
  ResourceLifecycleManager,
  type ResourceManagerOptions,
} from './resources/resource-manager.js'
export type {
  CleanupAllOptions,
  CleanupResourceOptions,
  InitializeResourceOptions,
  RetryOptions,
} from './resources/resource-options.js'
export type {
  Cleaner,
  CleanerContext,
  HealthChecker,
  HealthCheckerContext,
  Initializer,
  InitializerContext,
} from './resources/resource-type.js'
export { type MemoryStats, Runtime, type RuntimeStats } from './runtime.js'
export type { CloseReport, Promotion, ReplicaExit, RuntimeEvents } from './runtime-events.js'
export type {
  ArtifactDecidedEvent,
  BatchingDisabledEvent,
  ClosedEvent,
  EngineEventMap,
  PromotedEvent,
  ReplicaExitedEvent,
  ReplicaStuckEvent,
  TransitionEvent,
} from './telemetry/events/event-map.js'
export type {
  ApplicationSubject,
  ModelSubject,
  ResourceSubject,
  Subject,
} from './telemetry/events/subject.js'
export type { Logger } from './telemetry/logger.js'
export {
  type InputValue,
  type ModelInput,
  type Outputs,
  type Signature,
  TENSOR_TYPES,
  type Tensor,
  type TensorData,
  type TensorDataMap,
  type TensorSpec,
  type TensorType,
  type UnsupportedOutput,
} from './tensors/tensor.js'
