import type { ModelContext } from '../context/model-context.js'
import type { ModelRegistry } from '../registry/model-registry.js'
import { idleLimitOf } from '../version/idle-watch.js'
import type { ModelVersion, VersionSupervisor } from '../version/model-version.js'
import { isUnused, type MemoryHolder, planIdle, planRoom } from './plan-eviction.js'
import { type UnloadReport, unload } from './unload.js'

/** Evicts unused versions: their pools end, but they stay known, cold, and load again with the next request. */
export class Evictor implements VersionSupervisor {
  readonly #context: ModelContext
  readonly #registry: ModelRegistry

  constructor(context: ModelContext, registry: ModelRegistry) {
    this.#context = context
    this.#registry = registry
  }

  /** Evicts each version that has been unused for its own limit. */
  async evictIdle(trigger: string): Promise<UnloadReport[]> {
    const limitOf = ({ record }: ModelVersion): number | undefined => idleLimitOf(this.#context, record)
    return this.#evictAll(this.#registry.versions(), limitOf, trigger)
  }

  /** Evicts each version that has been unused for `maxAgeMs`. */
  async evictUnused(maxAgeMs: number, trigger: string): Promise<UnloadReport[]> {
    return this.#evictAll(this.#registry.versions(), () => maxAgeMs, trigger)
  }

  async evictIfIdle(version: ModelVersion, maxAgeMs: number): Promise<void> {
    await this.#evictAll([version], () => maxAgeMs, 'idle')
  }

  /** Waits for memory that is about to be returned, else evicts a version; resolves with false if neither is possible. */
  async makeRoom(model: string): Promise<boolean> {
    const { endings, memory } = this.#context
    const holders = this.#registry.versions().map((version) => this.#holder(version))
    const action = planRoom(model, endings.isMemoryComing, holders)
    if (action.kind === 'refuse') return false
    if (action.kind === 'evict') {
      const { version } = action.holder
      await this.#evict(version, () => isUnused(this.#holder(version)), 'memory')
    } else {
      await endings.nextTeardown()
      await memory.read()
    }
    return true
  }

  onLoadFailed(version: ModelVersion): void {
    this.#registry.keepFailed(version)
  }

  /** Evicts the unused versions among `versions`, or shrinks those with `minReplicas`. */
  async #evictAll(
    versions: readonly ModelVersion[],
    limitOf: (version: ModelVersion) => number | undefined,
    trigger: string,
  ): Promise<UnloadReport[]> {
    const actionOf = (version: ModelVersion) => planIdle(this.#holder(version), limitOf(version))
    const unused = versions.filter((version) => actionOf(version).kind !== 'keep')
    const reports: UnloadReport[] = []
    for (const version of unused) {
      const action = actionOf(version)
      if (action.kind === 'shrink') version.shrink(action.replicas)
      if (action.kind !== 'evict') continue
      const report = await this.#evict(version, () => actionOf(version).kind === 'evict', trigger)
      if (report !== undefined) reports.push(report)
    }
    return reports
  }

  /** Evicts the version if `mayGo` still holds once its lane is free; no await separates that check from the drain. */
  async #evict(
    version: ModelVersion,
    mayGo: () => boolean,
    trigger: string,
  ): Promise<UnloadReport | undefined> {
    const evict = async (): Promise<{ report: Promise<UnloadReport> } | undefined> => {
      if (!mayGo()) return undefined
      const { empty, report } = unload(this.#context, version.spec.name, [version], trigger)
      await empty
      return { report }
    }
    const evicted = await version.change(evict, 'evicted model')
    return evicted?.report
  }

  #holder(version: ModelVersion): MemoryHolder & { readonly version: ModelVersion } {
    const { name, config } = version.spec
    return {
      version,
      model: name,
      state: version.state,
      openRequests: version.recorder.open,
      isPinned: config.pinned === true,
      minReplicas: config.minReplicas,
      idleMs: version.idleMs(this.#context.clock.now()),
      isChanging: version.isChanging,
    }
  }
}
