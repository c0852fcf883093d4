import { artifactStatsOf } from '../../artifacts/artifact-stats.js'
import type { Prepared } from '../../artifacts/artifacts.js'
import { withTimeout } from '../../async/with-timeout.js'
import { errors } from '../../errors/errors.js'
import { type LifecycleState, StateMachine, type TransitionListener } from '../../lifecycle/state-machine.js'
import type { Timer } from '../../platform/clock.js'
import type { RunRequest } from '../../pools/queue/run-request.js'
import type { VersionPool } from '../../pools/version-pool.js'
import { servingProvider } from '../../protocol/providers.js'
import { modelSubject } from '../../telemetry/events/subject.js'
import type { LockName } from '../context/locks.js'
import { assertOpen, type ModelContext } from '../context/model-context.js'
import type { ModelLane } from '../context/model-lane.js'
import type { VersionRecord, VersionSpec } from '../context/version-record.js'
import { type Adopter, ArtifactAdoption } from '../loading/artifact-adoption.js'
import { createPool } from '../loading/create-pool.js'
import { loadError } from '../loading/load-error.js'
import { prepareLoad } from '../loading/prepare-load.js'
import { reserveMemory } from '../loading/reserve-memory.js'
import { startPool } from '../loading/start-pool.js'
import { type DrainOptions, type DrainReport, drainTimeout, NOTHING_LEFT } from './drain.js'
import { IdleWatch } from './idle-watch.js'
import { ServedPool } from './served-pool.js'
import { SharedLoad } from './shared-load.js'
import { type VersionStats, VersionStatsRecorder } from './version-stats.js'

/** The operations on all versions that a single version needs. */
export interface VersionSupervisor {
  /** Frees memory that other models hold without using it; resolves with false if there is none. */
  makeRoom(model: string): Promise<boolean>
  /** Evicts the version if it has been unused for `maxAgeMs`. */
  evictIfIdle(version: ModelVersion, maxAgeMs: number): Promise<unknown>
  /** Called when the first load of a version has failed that is not kept (see `ModelVersion.keep`). */
  onLoadFailed(version: ModelVersion): void
}

/**
 * An immutable version of a model, which is served while it has a pool. It owns its state, its pool, its timers and
 * the adoption of its artifact; all other code changes them by the operations below.
 */
export class ModelVersion implements Adopter {
  readonly record: VersionRecord
  readonly recorder = new VersionStatsRecorder()
  /** The load that waiting requests share. */
  readonly sharedLoad = new SharedLoad()
  readonly #context: ModelContext
  readonly #lane: ModelLane
  readonly #supervisor: VersionSupervisor
  readonly #machine: StateMachine
  readonly #idleWatch: IdleWatch
  /** The current pool, a new one for each load; undefined while the version has no threads. */
  #served: ServedPool | undefined
  /** False until the first successful load of a version that an API call registered, see `keep`. */
  #isKept = true
  /** Ends the standby of the version. */
  #standbyTimer: Timer | undefined
  /** Time of the last successful load, by `Clock.now`. */
  #readySinceMs = 0
  /** Time of the last failed load, by `Clock.now`; undefined if none has failed. */
  #failedAtMs: number | undefined

  constructor(
    context: ModelContext,
    record: VersionRecord,
    lane: ModelLane,
    supervisor: VersionSupervisor,
    onTransition: TransitionListener,
  ) {
    this.#context = context
    this.record = record
    this.#lane = lane
    this.#supervisor = supervisor
    this.#machine = new StateMachine(context.clock, modelSubject(record.subject), onTransition)
    this.#idleWatch = new IdleWatch(context, this, (maxAgeMs) => supervisor.evictIfIdle(this, maxAgeMs))
  }

  get spec(): VersionSpec {
    return this.record.spec
  }

  get state(): LifecycleState {
    return this.#machine.state
  }

  /** The error behind its current state, if there is one. */
  get cause(): unknown {
    return this.#machine.cause
  }

  get pool(): VersionPool | undefined {
    return this.#served?.pool
  }

  get isServing(): boolean {
    return this.is('ready', 'running')
  }

  get isCold(): boolean {
    return this.is('uninitialized', 'stopped')
  }

  get isKept(): boolean {
    return this.#isKept
  }

  /** True while a change of its model runs or waits. */
  get isChanging(): boolean {
    return !this.#lane.isIdle
  }

  get failedAtMs(): number | undefined {
    return this.#failedAtMs
  }

  is(...states: readonly LifecycleState[]): boolean {
    return this.#machine.is(...states)
  }

  /** Resolves when the version is in one of `states`. */
  waitFor(...states: readonly LifecycleState[]): Promise<LifecycleState> {
    return this.#machine.waitFor(...states)
  }

  /** Returns the time since its last request or its last load, whichever is later. */
  idleMs(nowMs: number): number {
    return nowMs - Math.max(this.recorder.lastUsedAtMs ?? 0, this.#readySinceMs)
  }

  stats(): VersionStats {
    const { providers, loadedBytes, artifact } = this.record.facts
    const provider = providers === undefined ? undefined : servingProvider(providers)
    const { originMs } = this.#context.clock
    return this.recorder.stats(originMs, this.pool?.stats(), loadedBytes, artifact, provider)
  }

  /** Sets whether the version stays known even if its first load fails; otherwise only the latest failures stay. */
  keep(isKept: boolean): void {
    this.#isKept = isKept
  }

  /** Sets the number of replicas of later pools. */
  setReplicas(replicas: number | 'auto'): void {
    this.record.setReplicas(replicas)
    this.#served?.keepReplicas()
  }

  /** Shrinks its pool to `replicas`, until the next request. */
  shrink(replicas: number): void {
    this.#served?.shrink(replicas)
  }

  /** Admits a request whose input has been checked. @throws ERR_MODEL_UNAVAILABLE if it has no pool. */
  submit(request: RunRequest): void {
    if (this.#served === undefined) {
      const { label, subject } = this.record
      throw new errors.ERR_MODEL_UNAVAILABLE(`${label} cannot run requests: it has no replicas`, subject)
    }
    this.#served.submit(request)
  }

  /** Runs `work` in the lane of its model. */
  change<T>(work: () => Promise<T>, lock?: LockName): Promise<T> {
    return this.#lane.run(work, lock)
  }

  /**
   * Gives a cold or failed version a pool. It resolves in the state `ready`, with one replica that serves while the
   * others start, or rejects, in the state `error` (`stopped` if only memory is missing). Call it in the model's lane.
   */
  async load(trigger: string): Promise<void> {
    const { record } = this
    if (this.is('stopping')) await this.waitFor('stopped')
    assertOpen(this.#context)
    this.#machine.to('initializing', trigger)
    const { files } = record.facts
    try {
      const prepared = await prepareLoad(this.#context, record)
      const served = await this.#open(this.createPool(prepared), prepared)
      assertOpen(this.#context)
      // Its replicas have exited meanwhile, more often than the crash budget allows.
      if (this.#served !== served) throw this.#machine.cause
      record.note({ artifact: artifactStatsOf(prepared) })
      if (prepared.build !== undefined) {
        served.adopt(new ArtifactAdoption(this.#context, this, served, prepared.build))
      }
      this.#isKept = true
      this.#readySinceMs = this.#context.clock.now()
      this.#machine.to('ready', trigger)
      this.#idleWatch.start()
    } catch (thrown) {
      record.resetFiles(files)
      const error = loadError(record, thrown)
      this.#onLoadFailed(error, trigger)
      throw error
    }
  }

  /** Moves from `ready` to `running`; `commit`, called in between, routes the requests of the model to this version. */
  promote(trigger: string, commit?: () => void): void {
    this.#context.clock.clear(this.#standbyTimer)
    this.#machine.to('starting', trigger)
    commit?.()
    this.#machine.to('running', trigger)
  }

  /** Hands the requests over to another version: stays `ready` for `standbyMs`, or is `stopping`, for a drain. */
  demote(trigger: string, standbyMs = 0, onStandbyOver: () => void = () => undefined): void {
    const { clock } = this.#context
    clock.clear(this.#standbyTimer)
    this.#machine.to(standbyMs > 0 ? 'ready' : 'stopping', trigger)
    if (standbyMs > 0) this.#standbyTimer = clock.setTimeout(onStandbyOver, standbyMs).unref()
  }

  /** Admits no more requests, finishes those it has, and ends the threads. It ends `stopped`, and stays known. */
  async drain(trigger: string, options: DrainOptions = {}): Promise<DrainReport> {
    const { after, timeoutMs = this.#drainTimeoutMs, lateError = drainTimeout } = options
    const startedAtMs = this.#context.clock.now()
    this.#context.clock.clear(this.#standbyTimer)
    if (!this.is('stopping')) this.#machine.to('stopping', trigger)
    this.#idleWatch.stop()
    this.#served?.detach()
    const { pool } = this
    void pool?.drain()
    await after?.catch(() => undefined)
    const makeLateError = (): Error => lateError(this.record, timeoutMs)
    const { rejected, stuck } =
      pool === undefined ? NOTHING_LEFT : await this.#context.endings.end(pool, timeoutMs, makeLateError)
    this.#served = undefined
    this.#machine.to('stopped', trigger)
    const { name, version } = this.spec
    const report = { name, version, durationMs: this.#context.clock.now() - startedAtMs, rejected, stuck }
    if (rejected > 0 || stuck.length > 0) this.#context.logger.warn(report, 'drain timed out')
    return report
  }

  /** Stops a version that has no pool. */
  dispose(trigger: string): void {
    if (this.is('uninitialized', 'error')) this.#machine.to('stopped', trigger)
  }

  /** Stops the version within `timeoutMs`, in any state; resolves with the number of rejected requests. */
  async close(timeoutMs: number, lateError: (version: VersionRecord) => Error): Promise<number> {
    this.#context.clock.clear(this.#standbyTimer)
    const { pool } = this
    // These requests wait for a load, which is abandoned.
    const waiting = this.sharedLoad.isAwaited ? this.recorder.open - (pool?.leaseCount ?? 0) : 0
    this.dispose('close')
    if (this.is('stopped')) return waiting
    if (!this.is('stopping')) {
      return waiting + (await this.drain('close', { timeoutMs, lateError })).rejected
    }
    // A drain is under way already, perhaps with a longer limit than `timeoutMs`.
    const rejectedBefore = pool?.rejected ?? 0
    if ((await withTimeout(this.#context.clock, this.waitFor('stopped'), timeoutMs)) === undefined) {
      pool?.rejectAll(lateError(this.record))
      await pool?.stop(0)
      await this.waitFor('stopped')
    }
    return (pool?.rejected ?? 0) - rejectedBefore
  }

  /** @internal See `Adopter`. */
  createPool(prepared: Prepared): VersionPool {
    return createPool(this.#context, this.record, prepared, (cause) => this.#onPoolFailed(cause))
  }

  /** @internal See `Adopter`. */
  makeRoom(): Promise<boolean> {
    return this.#supervisor.makeRoom(this.spec.name)
  }

  async #open(pool: VersionPool, prepared: Prepared): Promise<ServedPool> {
    const served = new ServedPool(pool, this.#context.logger, this.record)
    this.#served = served
    assertOpen(this.#context)
    const reservation = await reserveMemory(this.#context, this.record, prepared, () => this.makeRoom())
    await startPool(this.#context, this.record, pool, prepared, reservation)
    return served
  }

  #onLoadFailed(error: Error, trigger: string): void {
    this.#dropPool(0, error)
    // In another state the version is stopping already, since the runtime is being closed.
    if (!this.is('initializing')) assertOpen(this.#context)
    else if (error instanceof errors.ERR_INSUFFICIENT_MEMORY) {
      // The version itself is intact, so it stays cold.
      this.#machine.to('stopping', trigger, error)
      this.#machine.to('stopped', trigger, error)
    } else {
      this.#failedAtMs = this.#context.clock.now()
      this.#machine.to('error', trigger, error)
      if (!this.#isKept) this.#supervisor.onLoadFailed(this)
    }
  }

  /** Moves the version to `error`, since its replicas exited too often. Runs that are under way finish. */
  #onPoolFailed(cause: Error): void {
    // A drain ends its pool itself, as an adoption does with a pool that does not serve yet, or no longer.
    if (!this.pool?.hasFailed || this.is('stopping')) return
    this.#dropPool(this.#drainTimeoutMs, cause)
    this.#machine.to('error', 'crash budget', cause)
  }

  #dropPool(timeoutMs: number, cause: Error): void {
    const served = this.#served
    if (served === undefined) return
    this.#context.clock.clear(this.#standbyTimer)
    this.#idleWatch.stop()
    served.detach()
    this.#served = undefined
    this.#context.endings.endInBackground(served.pool, timeoutMs, cause)
  }

  get #drainTimeoutMs(): number {
    return this.spec.config.drainTimeoutMs ?? this.#context.config.drainTimeoutMs
  }
}
