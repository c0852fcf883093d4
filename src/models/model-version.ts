import type PQueue from 'p-queue'
import type { ArtifactStats } from '../artifacts/artifact-stats.js'
import type { ModelConfig } from '../config.js'
import { StateMachine, type TransitionListener } from '../lifecycle/states.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { BatchingMemory } from '../pools/batching.js'
import type { VersionPool } from '../pools/version-pool.js'
import type { ModelFile } from '../protocol/model-files.js'
import { servingProvider } from '../protocol/providers.js'
import { modelSubject } from '../telemetry/subject.js'
import type { EmptyAxes } from '../tensors/empty-axes.js'
import type { Signature } from '../tensors/tensor.js'
import type { ArtifactTrial } from './artifact-trial.js'
import { Usage, type VersionStats } from './usage.js'

/** Where a version comes from and how it is to be served; but for its `replicas` it never changes. */
export interface VersionSpec {
  readonly name: string
  readonly version: string
  readonly modelType: string
  /** Absolute path of the model's file or folder. */
  readonly source: string
  readonly sha256: string | undefined
  readonly config: ModelConfig
}

/** One immutable version of a model: known, and served while it has a pool. */
export class ModelVersion {
  readonly machine: StateMachine
  readonly usage = new Usage()
  /** The threads; a new pool for each time the version is initialised. */
  pool: VersionPool | undefined
  /** Known from the first load on, also while the version is cold. */
  signature: Signature | undefined
  /** How much more the process held after its last load than before; undefined before the first. */
  loadedBytes: number | undefined
  /** What its files hold, from the first load on: every later one has to find the same. Undefined before. */
  files: readonly ModelFile[] | undefined
  /** What its pools have found out about sharing runs, which is true of these files only. */
  readonly batching: BatchingMemory = { proof: undefined }
  /** What a pool of it was seen to hold, as soon as one has been; undefined after its replicas have changed. */
  measuredBytes: number | undefined
  /** Names of the execution providers of its last pool, best first; undefined before the first, or if its loader knows none. */
  providers: readonly string[] | undefined
  /** In which form its last pool has loaded it; undefined before the first. */
  artifact: ArtifactStats | undefined
  /** What is known of inputs without elements; absent for the model of a custom loader, which judges them itself. */
  emptyAxes: EmptyAxes | undefined
  /** How many replicas it had before some were taken for it was unused; undefined if none were. */
  fullReplicas: number | undefined
  /** Keeps requests for the proof of an artifact; undefined if none is to be built. */
  trial: ArtifactTrial | undefined
  /** Whether it stays known for good; one that a call has made known does so once it was loaded. */
  isKept = true
  /** Loads, swaps and unloads of its model happen in here, one after another. */
  readonly lane: PQueue
  /** Why the requests that wait for it now are not to be answered by it. */
  refusal: unknown
  /** The load that waiting requests share. */
  warming: Promise<void> | undefined
  /** Evicts it when it is unused for long enough. */
  idleTimer: Timer | undefined
  /** Ends the time on standby. */
  standbyTimer: Timer | undefined
  /** When it last got a pool, by `Clock.now`. */
  readySinceMs = 0
  /** When its last load failed, likewise; undefined if it did not. */
  failedAtMs: number | undefined
  #spec: VersionSpec

  constructor(clock: Clock, spec: VersionSpec, lane: PQueue, onTransition: TransitionListener) {
    this.#spec = spec
    this.lane = lane
    this.machine = new StateMachine(clock, modelSubject(this.subject), onTransition)
  }

  get spec(): VersionSpec {
    return this.#spec
  }

  get subject(): { model: string; version: string } {
    return { model: this.spec.name, version: this.spec.version }
  }

  get isCold(): boolean {
    return this.machine.is('uninitialized', 'stopped')
  }

  /** Goes back to `files`, from before a load that has failed; a version that was never loaded may change. */
  resetFiles(files: readonly ModelFile[] | undefined): void {
    this.files = files
    if (files === undefined) this.batching.proof = undefined
  }

  /** Sets how many replicas its next pools have. */
  setReplicas(replicas: number | 'auto'): void {
    this.#spec = { ...this.#spec, config: { ...this.#spec.config, replicas } }
    this.measuredBytes = undefined
    this.fullReplicas = undefined
  }

  /** Leaves so many replicas of its pool, until the next request. */
  shrink(replicas: number): void {
    const { pool } = this
    if (pool === undefined || !pool.isOpen || pool.wanted <= replicas) return
    this.fullReplicas ??= pool.wanted
    pool.resize(replicas).catch(() => undefined)
  }

  /** Gives it back the replicas that it was left without; `onFailed` is told if they cannot be loaded. */
  grow(onFailed: (cause: unknown) => void): void {
    const { fullReplicas, pool } = this
    this.fullReplicas = undefined
    if (fullReplicas !== undefined && pool?.isOpen) pool.resize(fullReplicas).catch(onFailed)
  }

  /** From ready to running, for one that is active already. */
  run(trigger: string): void {
    this.machine.to('starting', trigger)
    this.machine.to('running', trigger)
  }

  /** How long its pool has been there without being used. */
  idleMs(nowMs: number): number {
    return nowMs - Math.max(this.usage.lastUsedAtMs ?? 0, this.readySinceMs)
  }

  /** `originMs` is that of the clock. */
  stats(originMs: number): VersionStats {
    const provider = this.providers === undefined ? undefined : servingProvider(this.providers)
    return this.usage.stats(originMs, this.pool?.stats(), this.loadedBytes, this.artifact, provider)
  }
}
