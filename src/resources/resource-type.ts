import type { Logger } from '../telemetry/logger.js'

interface ResourceContext {
  /** Name of the resource. */
  readonly name: string
  /** Aborts when the outcome is no longer needed. */
  readonly signal: AbortSignal
}

/** The second argument of an initializer. */
export interface InitializerContext extends ResourceContext {
  /** A logger that adds the resource's name to each line. */
  readonly logger: Logger
  /**
   * Returns the value of a resource that this one depends on.
   * @throws ERR_RESOURCE_NOT_FOUND if `dependsOn` does not name it.
   */
  resource<T = unknown>(name: string): T
}

/** The second argument of a cleaner. */
export interface CleanerContext extends ResourceContext {
  /** Time limit of the cleaner, in milliseconds. */
  readonly timeoutMs: number
}

/** The second argument of a health checker. */
export type HealthCheckerContext = ResourceContext

/**
 * Makes a resource from its `config`. A value that it returns after its signal has aborted is passed to the
 * cleaner.
 */
export type Initializer<T = unknown, C = unknown> = (
  config: C,
  context: InitializerContext,
) => T | PromiseLike<T>

/** Releases a resource; called exactly once for each value that the initializer has made. */
export type Cleaner<T = unknown> = (resource: T, context: CleanerContext) => unknown

/**
 * Checks a resource. The resource is unhealthy if the checker returns `false`, or returns or throws an error.
 * The checker may also return a status; any other value means healthy.
 */
export type HealthChecker<T = unknown> = (resource: T, context: HealthCheckerContext) => unknown

/** A registered type of resource. */
export interface ResourceType {
  readonly name: string
  readonly initializer: Initializer
  readonly cleaner: Cleaner | undefined
  readonly healthChecker: HealthChecker | undefined
}
