import type { PredictOptions } from '../config.js'
import type { LifecycleState } from '../lifecycle/states.js'
import { within } from '../pools/within.js'
import type { ReplicaDescription, ReplicaStats } from '../protocol/control.js'
import type { ModelInput, Outputs, Signature } from '../tensors/tensor.js'
import type { ModelVersion } from './model-version.js'
import type { VersionStats } from './usage.js'

/** What one replica says of itself; undefined fields mean that it did not answer in time. */
export interface ReplicaReport {
  readonly threadId: number | undefined
  readonly description: ReplicaDescription | undefined
  readonly stats: ReplicaStats | undefined
}

type Predict = (name: string, input: ModelInput, options?: PredictOptions) => Promise<Outputs>

/** One version of a model, whatever state it is in. */
export class ModelHandle {
  readonly #version: ModelVersion
  readonly #predict: Predict
  readonly #controlTimeoutMs: number

  constructor(version: ModelVersion, predict: Predict, controlTimeoutMs: number) {
    this.#version = version
    this.#predict = predict
    this.#controlTimeoutMs = controlTimeoutMs
  }

  get name(): string {
    return this.#version.spec.name
  }

  get version(): string {
    return this.#version.spec.version
  }

  get state(): LifecycleState {
    return this.#version.machine.state
  }

  /** Inputs and outputs; undefined before the first load. */
  get signature(): Signature | undefined {
    return this.#version.signature
  }

  /** As `runtime.predict`, always of this version. */
  predict(input: ModelInput, options?: Omit<PredictOptions, 'version'>): Promise<Outputs> {
    return this.#predict(this.name, input, { ...options, version: this.version })
  }

  stats(): VersionStats {
    return this.#version.stats()
  }

  /** Asks every replica; one that is inside a long run does not answer in time. */
  replicas(): Promise<ReplicaReport[]> {
    const hosts = this.#version.pool?.hosts ?? []
    return Promise.all(
      hosts.map(async ({ threadId, control }) => {
        const answers = Promise.all([control?.describe(), control?.stats()]).catch(() => undefined)
        const [description, stats] = (await within(answers, this.#controlTimeoutMs)) ?? []
        return { threadId, description, stats }
      }),
    )
  }
}
