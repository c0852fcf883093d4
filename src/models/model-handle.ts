import { withTimeout } from '../async/with-timeout.js'
import type { PredictOptions } from '../config/runtime-options.js'
import type { LifecycleState } from '../lifecycle/state-machine.js'
import type { Clock } from '../platform/clock.js'
import type { ReplicaDescription, ReplicaStats } from '../protocol/replica/control.js'
import type { ModelInput, Outputs, Signature } from '../tensors/tensor.js'
import type { ModelVersion } from './version/model-version.js'
import type { VersionStats } from './version/version-stats.js'

/** What one replica says of itself; undefined fields mean that it did not answer in time. */
export interface ReplicaReport {
  readonly threadId: number | undefined
  readonly description: ReplicaDescription | undefined
  readonly stats: ReplicaStats | undefined
}

type Resize = (version: ModelVersion, replicas: number | 'auto') => Promise<void>
type Predict = (
  name: string,
  input: ModelInput,
  options: PredictOptions | undefined,
  version: string,
) => Promise<Outputs>

/** One version of a model, whatever state it is in. */
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

  get name(): string {
    return this.#version.spec.name
  }

  get version(): string {
    return this.#version.spec.version
  }

  get state(): LifecycleState {
    return this.#version.state
  }

  /** Inputs and outputs; undefined before the first load. */
  get signature(): Signature | undefined {
    return this.#version.record.facts.signature
  }

  /** As `runtime.predict`, always of this version. */
  predict(input: ModelInput, options?: Omit<PredictOptions, 'version'>): Promise<Outputs> {
    return this.#predict(this.name, input, options, this.version)
  }

  /**
   * Changes the number of replicas, of a cold version that of its next pool. New ones are loaded one
   * after another and serve when they are ready; of too many those go first that have nothing to do,
   * then busy ones after their run. Resolves when all are there, or gone. Of calls that overlap the
   * last one counts, and all settle with it.
   * @throws ERR_INVALID_OPTIONS, ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_RUNTIME_CLOSED,
   * ERR_MODEL_UNAVAILABLE if the pool fails or is stopped meanwhile, and as a load does with the first
   * failure: the replicas that serve go on.
   */
  resize(replicas: number | 'auto'): Promise<void> {
    return this.#resize(this.#version, replicas)
  }

  stats(): VersionStats {
    return this.#version.stats()
  }

  /** Asks every replica; one that is inside a long run does not answer in time. */
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
