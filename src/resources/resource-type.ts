import type { Logger } from '../telemetry/logger.js'

interface ResourceContext {
  /** Name of the resource. */
  readonly name: string
  /** Aborts when nobody waits for the outcome any more. */
  readonly signal: AbortSignal
}

export interface InitializerContext extends ResourceContext {
  readonly logger: Logger
  /**
   * The value of a resource that this one depends on.
   * @throws ERR_RESOURCE_NOT_FOUND if `dependsOn` does not name it.
   */
  resource<T = unknown>(name: string): T
}

export interface CleanerContext extends ResourceContext {
  /** How long the cleaner has. */
  readonly timeoutMs: number
}

export type HealthCheckerContext = ResourceContext

/** Makes the resource. What it still makes after its signal has aborted is handed to the cleaner. */
export type Initializer<T = unknown, C = unknown> = (
  config: C,
  context: InitializerContext,
) => T | PromiseLike<T>

/** Gives back what the initializer took; called exactly once for each thing it has made. */
export type Cleaner<T = unknown> = (resource: T, context: CleanerContext) => unknown

/** `false`, or an error, is unhealthy; whatever else it returns is healthy. */
export type HealthChecker<T = unknown> = (resource: T, context: HealthCheckerContext) => unknown

/** What `registerResourceType` was given. */
export interface ResourceType {
  readonly name: string
  readonly initializer: Initializer
  readonly cleaner: Cleaner | undefined
  readonly healthChecker: HealthChecker | undefined
}
