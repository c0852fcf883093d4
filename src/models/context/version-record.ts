import type { ArtifactStats } from '../../artifacts/artifact-stats.js'
import type { ModelConfig } from '../../config/runtime-options.js'
import type { BatchingMemory } from '../../pools/batching/batching.js'
import type { ModelFile } from '../../protocol/model-files.js'
import type { EmptyAxes } from '../../tensors/input/empty-axes.js'
import type { Signature } from '../../tensors/tensor.js'

/** The source of a version and its settings; but for `replicas` they never change. */
export interface VersionSpec {
  readonly name: string
  readonly version: string
  readonly modelType: string
  /** Absolute path of the model's file or folder. */
  readonly source: string
  readonly sha256: string | undefined
  readonly config: ModelConfig
}

/** The results of a version's loads. */
export interface VersionFacts {
  /** Known from the first load on, also while the version is cold. */
  readonly signature: Signature | undefined
  /** The content of its files, from the first load on: every later load must find the same. */
  readonly files: readonly ModelFile[] | undefined
  /** The growth of the process during its last load; undefined before the first. */
  readonly loadedBytes: number | undefined
  /** The memory that a pool of it was seen to hold; undefined until one has been, and after its replicas have changed. */
  readonly measuredBytes: number | undefined
  /** Execution providers of its last pool, best first; undefined before the first, or if its loader knows none. */
  readonly providers: readonly string[] | undefined
  /** The form in which its last pool has loaded it; undefined before the first. */
  readonly artifact: ArtifactStats | undefined
  /** The inputs without elements that it can run; absent for a custom loader's model, which judges them itself. */
  readonly emptyAxes: EmptyAxes | undefined
}

const NO_FACTS: VersionFacts = {
  signature: undefined,
  files: undefined,
  loadedBytes: undefined,
  measuredBytes: undefined,
  providers: undefined,
  artifact: undefined,
  emptyAxes: undefined,
}

/** One version's specification, with the facts that its loads have found. */
export class VersionRecord {
  /** The findings of its pools about sharing runs, which hold for these files only. */
  readonly batching: BatchingMemory = { proof: undefined }
  readonly subject: { readonly model: string; readonly version: string }
  #spec: VersionSpec
  #facts: VersionFacts

  /** @param files its content, if a version of the same label was loaded before. */
  constructor(spec: VersionSpec, files?: readonly ModelFile[]) {
    this.#spec = spec
    this.subject = { model: spec.name, version: spec.version }
    this.#facts = { ...NO_FACTS, files }
  }

  get spec(): VersionSpec {
    return this.#spec
  }

  get facts(): VersionFacts {
    return this.#facts
  }

  /** `name@version`, for messages. */
  get label(): string {
    return `${this.#spec.name}@${this.#spec.version}`
  }

  note(facts: Partial<VersionFacts>): void {
    this.#facts = { ...this.#facts, ...facts }
  }

  /** Goes back to `files`, from before a load that has failed; a version that was never loaded may change. */
  resetFiles(files: readonly ModelFile[] | undefined): void {
    this.note({ files })
    if (files === undefined) this.batching.proof = undefined
  }

  /** Sets the number of replicas of its next pools. */
  setReplicas(replicas: number | 'auto'): void {
    this.#spec = { ...this.#spec, config: { ...this.#spec.config, replicas } }
    this.note({ measuredBytes: undefined })
  }
}
