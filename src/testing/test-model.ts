import type { ModelConfigInput } from '../config/runtime-options.js'
import type { ModelInput, Signature, Tensor } from '../tensors/tensor.js'

/** One version of a test model: a function in place of a file. */
export interface TestVersion {
  /**
   * Computes the outputs of one request. `inputs` holds a tensor for each input of the signature, by name, with
   * elements of its own. Outputs are values by name, each in a form that `predict` takes for an input: a tensor
   * `{ type, dims, data }`, a typed array, nested arrays or one number. If it throws or rejects, the request rejects
   * with ERR_INFERENCE and that error as its `cause`, or with the error itself if it is one of this package.
   */
  readonly answer: (inputs: Record<string, Tensor>) => ModelInput | Promise<ModelInput>
  /**
   * Duration of a run, in milliseconds on the test's clock, or a function that returns it for the inputs of the run.
   * `Infinity` never returns. Default: 0, a run that needs no `clock.advance`.
   */
  readonly latencyMs?: number | ((inputs: Record<string, Tensor>) => number) | undefined
  /** Duration of the load of each replica, in milliseconds on the test's clock; `Infinity` never ends. Default: 0. */
  readonly loadMs?: number | undefined
  /**
   * Error that each load fails with, as one that a loader throws: `loadModel` and `hotSwapModel` reject with
   * ERR_MODEL_LOAD. A function is called for each load, which fails if it returns an error. Default: none.
   */
  readonly loadError?: Error | (() => Error | undefined) | undefined
  /** Signature of this version. Default: that of the model. */
  readonly signature?: Signature | undefined
  /** Settings of this version, over those of the model. Default: none. */
  readonly config?: TestModelConfig | undefined
}

/** A model that a test runtime knows, without a file. */
export interface TestModel {
  /** Names, element types and dims of the inputs and outputs. */
  readonly signature: Signature
  /** Versions by their labels; those that are not active are known and not loaded. */
  readonly versions: Readonly<Record<string, TestVersion>>
  /**
   * Version that is loaded at the start; `false` loads none, and `loadModel` can load each of them later.
   * Default: the latest one by the order of versions.
   */
  readonly active?: string | false | undefined
  /** Settings of all versions, as `config` of `loadModel` has them. Default: those of the runtime. */
  readonly config?: TestModelConfig | undefined
}

/** Settings of a model that have a meaning in a test runtime. Each defaults to the option of the runtime of that name. */
export interface TestModelConfig {
  /** Replicas of each version, each of which runs one request at a time. Default: that of the runtime. */
  readonly replicas?: ModelConfigInput['replicas']
  /** Number of requests that may wait for one version; more are refused with ERR_OVERLOADED. Default: that of the runtime. */
  readonly maxQueue?: ModelConfigInput['maxQueue']
  /** Time after which a run puts its replica into quarantine, in milliseconds; 0 disables it. Default: that of the runtime. */
  readonly stuckAfterMs?: ModelConfigInput['stuckAfterMs']
  /** Time after which an unused version is evicted, in milliseconds; 0 disables it. Default: that of the runtime. */
  readonly modelIdleMs?: ModelConfigInput['modelIdleMs']
  /** True keeps versions from being evicted. Default: false. */
  readonly pinned?: ModelConfigInput['pinned']
  /** Number of replicas that an unused version keeps instead of being evicted. Default: none. */
  readonly minReplicas?: ModelConfigInput['minReplicas']
  /** Order of a swap to a version: `parallel` or `resource-preserving`. Default: that of the runtime. */
  readonly swapStrategy?: ModelConfigInput['swapStrategy']
  /** Time for which a replaced version keeps its replicas, in milliseconds. Default: that of the runtime. */
  readonly standbyMs?: ModelConfigInput['standbyMs']
  /** Time that a version which is being stopped waits for its requests, in milliseconds. Default: that of the runtime. */
  readonly drainTimeoutMs?: ModelConfigInput['drainTimeoutMs']
  /** Upper bound on the expected run time of one pack, in milliseconds; 0 disables packs. Default: that of the runtime. */
  readonly maxPackMs?: ModelConfigInput['maxPackMs']
  /** Upper bound on the size of one pack, in bytes. Default: that of the runtime. */
  readonly maxPackBytes?: ModelConfigInput['maxPackBytes']
  /** Input, and the outputs that are expected of it, that each replica runs before it serves. Default: none. */
  readonly sample?: ModelConfigInput['sample']
}
