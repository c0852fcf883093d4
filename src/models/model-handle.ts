import { withTimeout } from '../async/with-timeout.js'
import type { PredictOptions } from '../config/runtime-options.js'
import type { LifecycleState } from '../lifecycle/state-machine.js'
import type { Clock } from '../platform/clock.js'
import type { ReplicaDescription, ReplicaStats } from '../protocol/replica/control.js'
import type { ModelInput, Outputs, Signature } from '../tensors/tensor.js'
import type { ModelVersion } from './version/model-version.js'
import type { VersionStats } from './version/version-stats.js'

/** Report of one replica, see `ModelHandle.replicas()`. */
export interface ReplicaReport {
  /** Id of its worker thread; undefined before the thread has started. */
  readonly threadId: number | undefined
  /** Undefined if the replica did not respond within `controlTimeoutMs`. */
  readonly description: ReplicaDescription | undefined
  /** Counters of the replica; undefined if it did not respond within `controlTimeoutMs`. */
  readonly stats: ReplicaStats | undefined
}

type Resize = (version: ModelVersion, replicas: number | 'auto') => Promise<void>
type Predict = (
  name: string,
  input: ModelInput,
  options: PredictOptions | undefined,
  version: string,
) => Promise<Outputs>

/** Handle of one version of a model, in any state. */
export class ModelHandle {
  readonly #version: ModelVersion
  readonly #predict: Predict
  readonly #resize: Resize
  readonly #clock: Clock
  readonly #controlTimeoutMs: number

  constructor(
    version: ModelVersion,
    predict: Predict,
    resize: Resize,
    clock: Clock,
    controlTimeoutMs: number,
  ) {
    this.#clock = clock
    this.#version = version
    this.#predict = predict
    this.#resize = resize
    this.#controlTimeoutMs = controlTimeoutMs
  }

  /** Name of the model. */
  get name(): string {
    return this.#version.spec.name
  }

  /** Label of the version. */
  get version(): string {
    return this.#version.spec.version
  }

  /** Current state of the version. */
  get state(): LifecycleState {
    return this.#version.state
  }

  /** Inputs and outputs of the model; undefined before the first load. */
  get signature(): Signature | undefined {
    return this.#version.record.facts.signature
  }

  /** Runs `input` through this version, active or not. Otherwise the same as `runtime.predict`. */
  predict(input: ModelInput, options?: Omit<PredictOptions, 'version'>): Promise<Outputs> {
    return this.#predict(this.name, input, options, this.version)
  }

  /**
   * Changes the number of replicas; for a cold version, that of its next pool. New replicas load one after another
   * and serve once they are ready. Surplus replicas are stopped, idle ones first, busy ones after their run.
   * Resolves when the pool has the new size. Among overlapping calls the last one wins, and all settle with it.
   * @param replicas is a number from 1, or `auto` to derive it from the cores.
   * @throws ERR_INVALID_OPTIONS, ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_RUNTIME_CLOSED;
   * ERR_MODEL_UNAVAILABLE if the pool fails or is stopped meanwhile; or the error of the first replica that
   * cannot be loaded, in which case the existing replicas continue.
   */
  resize(replicas: number | 'auto'): Promise<void> {
    return this.#resize(this.#version, replicas)
  }

  /** Returns counters and latencies of this version since it was registered. */
  stats(): VersionStats {
    return this.#version.stats()
  }

  /**
   * Resolves with a report of every replica. A replica inside a run that takes longer than `controlTimeoutMs` does not
   * respond in time.
   */
  replicas(): Promise<ReplicaReport[]> {
    const hosts = this.#version.pool?.hosts ?? []
    return Promise.all(
      hosts.map(async (host) => {
        const { id: threadId } = host
        const reports = Promise.all([host.describe(), host.stats()]).catch(() => undefined)
        const [description, stats] = (await withTimeout(this.#clock, reports, this.#controlTimeoutMs)) ?? []
        return { threadId, description, stats }
      }),
    )
  }
}
