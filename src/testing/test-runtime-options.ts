import type { RuntimeConfigInput } from '../config/runtime-options.js'
import type { Logger } from '../telemetry/logger.js'
import type { TestModel } from './test-model.js'

/** Options of `createTestRuntime`: its models, and those options of `createRuntime` that need no threads and files. */
export interface TestRuntimeOptions extends SharedOptions {
  /** Models by name, each with a function for each of its versions. */
  readonly models: Readonly<Record<string, TestModel>>
  /** Least severe level that is logged on standard error. Default: `silent`. */
  readonly logLevel?: RuntimeConfigInput['logLevel']
  /** Receives log lines. Default: a logger of this package, by `logLevel`. */
  readonly logger?: Logger
}

/** Options that a test runtime shares with `createRuntime`. Times pass on the clock of the test. */
export interface SharedOptions {
  /** Name in log lines. Default: `tbcoin-engine`. */
  readonly appName?: RuntimeConfigInput['appName']
  /** Default time budget of a shutdown, in milliseconds. Default: 30,000. */
  readonly gracefulShutdownTimeoutMs?: RuntimeConfigInput['gracefulShutdownTimeoutMs']
  /** Effect of a model that cannot be loaded at the start: `throw` rejects, `degrade` leaves it out. Default: `throw`. */
  readonly onLoadError?: RuntimeConfigInput['onLoadError']
  /** Replicas of each version, each of which runs one request at a time. Default: `auto`, which is 1 here. */
  readonly replicas?: RuntimeConfigInput['replicas']
  /** Number of loads that may run at the same time. Default: 1. */
  readonly maxConcurrentLoads?: RuntimeConfigInput['maxConcurrentLoads']
  /** Number of requests that may wait for one version; more are refused with ERR_OVERLOADED. Default: 10,000. */
  readonly maxQueue?: RuntimeConfigInput['maxQueue']
  /**
   * Upper bound on the expected run time of one pack, in milliseconds: requests in one pack go to a replica together and
   * are run one after another. 0 disables packs. Default: 2.
   */
  readonly maxPackMs?: RuntimeConfigInput['maxPackMs']
  /** Upper bound on the size of one pack, in bytes. Default: 2,097,152. */
  readonly maxPackBytes?: RuntimeConfigInput['maxPackBytes']
  /** Time after which a run puts its replica into quarantine, in milliseconds; 0 disables it. Default: 60,000. */
  readonly stuckAfterMs?: RuntimeConfigInput['stuckAfterMs']
  /** Time after which a load fails, in milliseconds; 0 disables it. Default: 120,000. */
  readonly loadTimeoutMs?: RuntimeConfigInput['loadTimeoutMs']
  /** Time between two searches for idle versions, in milliseconds; 0 disables eviction. Default: 3,600,000. */
  readonly modelCleanupIntervalMs?: RuntimeConfigInput['modelCleanupIntervalMs']
  /** Time after which an unused version is evicted, in milliseconds; 0 disables it. Default: 0. */
  readonly modelIdleMs?: RuntimeConfigInput['modelIdleMs']
  /** Order of a swap: `parallel` loads the new version first, `resource-preserving` drains the old one first. Default: `parallel`. */
  readonly swapStrategy?: RuntimeConfigInput['swapStrategy']
  /** Time for which a replaced version keeps its replicas, in milliseconds. Default: 0. */
  readonly standbyMs?: RuntimeConfigInput['standbyMs']
  /** Time that a version which is being stopped waits for its requests, in milliseconds. Default: 30,000. */
  readonly drainTimeoutMs?: RuntimeConfigInput['drainTimeoutMs']
  /** Number of crashes within `crashWindowMs` that a version survives. Default: 5. */
  readonly crashBudget?: RuntimeConfigInput['crashBudget']
  /** Time over which crashes are counted, in milliseconds. Default: 60,000. */
  readonly crashWindowMs?: RuntimeConfigInput['crashWindowMs']
  /** Time before a crashed replica is replaced, in milliseconds; doubles with each further crash. Default: 100. */
  readonly restartBackoffMs?: RuntimeConfigInput['restartBackoffMs']
  /** Upper bound on that time, and time for which a failed load is not tried again, in milliseconds. Default: 5,000. */
  readonly maxRestartBackoffMs?: RuntimeConfigInput['maxRestartBackoffMs']
  /** Time that `replicas()` of a handle waits for a description, in milliseconds. Default: 1,000. */
  readonly controlTimeoutMs?: RuntimeConfigInput['controlTimeoutMs']
}
