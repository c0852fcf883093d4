import type { ArtifactStats } from '../../artifacts/artifact-stats.js'
import type { ModelConfig } from '../../config/runtime-options.js'
import type { BatchingMemory } from '../../pools/batching/batching.js'
import type { ModelFile } from '../../protocol/model-files.js'
import type { EmptyAxes } from '../../tensors/input/empty-axes.js'
import type { Signature } from '../../tensors/tensor.js'

/** The source of a version and its settings. Only `replicas` ever changes. */
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
  /** Inputs and outputs; undefined before the first load, and kept while the version is cold. */
  readonly signature: Signature | undefined
  /** Stamps and hashes of its files, from the first load on; every later load must find the same content. */
  readonly files: readonly ModelFile[] | undefined
  /** Growth of the process during its last load; undefined before the first. */
  readonly loadedBytes: number | undefined
  /** Measured memory of one of its pools; undefined before a measurement, and after the number of replicas changed. */
  readonly measuredBytes: number | undefined
  /** Execution providers of its last pool, best first; undefined before a load, or if its loader reports none. */
  readonly providers: readonly string[] | undefined
  /** The form in which its last pool loaded it; undefined before the first load. */
  readonly artifact: ArtifactStats | undefined
  /** The inputs without elements that it can run; undefined for a custom loader, which checks them itself. */
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

/** The specification of one version, with the facts that its loads have found. */
export class VersionRecord {
  /** The findings of its pools about batching, which hold for these files only. */
  readonly batching: BatchingMemory = { proof: undefined }
  readonly subject: { readonly model: string; readonly version: string }
  #spec: VersionSpec
  #facts: VersionFacts

  /** @param files are those of its last load, if a version of the same label was loaded before. */
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

  /** Adds `facts` to those known, or replaces them. */
  note(facts: Partial<VersionFacts>): void {
    this.#facts = { ...this.#facts, ...facts }
  }

  /** Restores `files` from before a failed load. Without any, the content may change until a load succeeds. */
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
