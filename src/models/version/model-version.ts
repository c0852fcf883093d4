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

/** The other versions, as far as one needs them. */
export interface VersionSupervisor {
  /** Gives memory up that no other model uses; resolves with false if there is none. */
  makeRoom(model: string): Promise<boolean>
  /** Evicts the version if it was unused for `maxAgeMs`. */
  evictIfIdle(version: ModelVersion, maxAgeMs: number): Promise<unknown>
  /** A version that is not to stay known could not be loaded. */
  onLoadFailed(version: ModelVersion): void
}

/**
 * One immutable version of a model: known, and served while it has a pool. It owns its state, its pool, its timers
 * and the adoption of its artifact; all other code asks for the operations below.
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
  /** A new one for each load; undefined while the version has no threads. */
  #served: ServedPool | undefined
  /** False until its first load, if a call has made it known: then a failure is not kept for good. */
  #isKept = true
  /** Ends the time on standby. */
  #standbyTimer: Timer | undefined
  /** When it last got a pool, by `Clock.now`. */
  #readySinceMs = 0
  /** When its last load failed, likewise; undefined if it did not. */
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

  /** The error behind its state, if there is one. */
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

  /** True while a change of its model is under way or waits. */
  get isChanging(): boolean {
    return !this.#lane.isIdle
  }

  get failedAtMs(): number | undefined {
    return this.#failedAtMs
  }

  is(...states: readonly LifecycleState[]): boolean {
    return this.#machine.is(...states)
  }

  /** Resolves when it is in one of `states`. */
  waitFor(...states: readonly LifecycleState[]): Promise<LifecycleState> {
    return this.#machine.waitFor(...states)
  }

  /** Returns the time for which its pool has been there without being used. */
  idleMs(nowMs: number): number {
    return nowMs - Math.max(this.recorder.lastUsedAtMs ?? 0, this.#readySinceMs)
  }

  stats(): VersionStats {
    const { providers, loadedBytes, artifact } = this.record.facts
    const provider = providers === undefined ? undefined : servingProvider(providers)
    const { originMs } = this.#context.clock
    return this.recorder.stats(originMs, this.pool?.stats(), loadedBytes, artifact, provider)
  }

  /** Sets whether it stays known even if its first load fails. */
  keep(isKept: boolean): void {
    this.#isKept = isKept
  }

  /** Sets the number of replicas of its next pools. */
  setReplicas(replicas: number | 'auto'): void {
    this.record.setReplicas(replicas)
    this.#served?.keepReplicas()
  }

  /** Leaves so many replicas of its pool, until the next request. */
  shrink(replicas: number): void {
    this.#served?.shrink(replicas)
  }

  /** Admits a request whose input has been checked. @throws ERR_MODEL_UNAVAILABLE if it has no pool. */
  submit(request: RunRequest): void {
    if (this.#served === undefined) {
      const { label, subject } = this.record
      throw new errors.ERR_MODEL_UNAVAILABLE(`${label} cannot answer, it has no replicas`, subject)
    }
    this.#served.submit(request)
  }

  /** Runs `work` in the lane of its model. */
  change<T>(work: () => Promise<T>, lock?: LockName): Promise<T> {
    return this.#lane.run(work, lock)
  }

  /**
   * Gives a cold or failed version a pool: it ends `ready`, with one replica that serves and the others on their way,
   * or in `error` with the reason thrown. To be called in the lane of its model.
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
      // Its replicas have died meanwhile, more often than they may.
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

  /** Goes from ready to running; `commit` gives it the requests of its model, where it has them not yet. */
  promote(trigger: string, commit?: () => void): void {
    this.#context.clock.clear(this.#standbyTimer)
    this.#machine.to('starting', trigger)
    commit?.()
    this.#machine.to('running', trigger)
  }

  /** Leaves the requests to another version: it stays ready for `standbyMs`, or is `stopping` and to be drained. */
  demote(trigger: string, standbyMs = 0, onStandbyOver: () => void = () => undefined): void {
    const { clock } = this.#context
    clock.clear(this.#standbyTimer)
    this.#machine.to(standbyMs > 0 ? 'ready' : 'stopping', trigger)
    if (standbyMs > 0) this.#standbyTimer = clock.setTimeout(onStandbyOver, standbyMs).unref()
  }

  /** Stops it: admits nothing more, answers what was admitted, ends the threads. It ends `stopped`, and stays known. */
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
    const late = (): Error => lateError(this.record, timeoutMs)
    const { rejected, stuck } =
      pool === undefined ? NOTHING_LEFT : await this.#context.endings.end(pool, timeoutMs, late)
    this.#served = undefined
    this.#machine.to('stopped', trigger)
    const { name, version } = this.spec
    const report = { name, version, durationMs: this.#context.clock.now() - startedAtMs, rejected, stuck }
    if (rejected > 0 || stuck.length > 0) this.#context.logger.warn(report, 'a drain did not end in time')
    return report
  }

  /** Stops a version that has no pool. */
  dispose(trigger: string): void {
    if (this.is('uninitialized', 'error')) this.#machine.to('stopped', trigger)
  }

  /** Stops it within `timeoutMs`, whatever it is doing; resolves with how many requests were rejected. */
  async close(timeoutMs: number, lateError: (version: VersionRecord) => Error): Promise<number> {
    this.#context.clock.clear(this.#standbyTimer)
    const { pool } = this
    // They wait for a load, which is given up.
    const waiting = this.sharedLoad.isAwaited ? this.recorder.open - (pool?.leaseCount ?? 0) : 0
    this.dispose('close')
    if (this.is('stopped')) return waiting
    if (!this.is('stopping')) {
      return waiting + (await this.drain('close', { timeoutMs, lateError })).rejected
    }
    // It is being drained already, perhaps with more time than there is now.
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
    // Else the runtime is being closed, and the version is on its way to `stopped`.
    if (!this.is('initializing')) assertOpen(this.#context)
    else if (error instanceof errors.ERR_INSUFFICIENT_MEMORY) {
      // Nothing is wrong with it: it stays cold.
      this.#machine.to('stopping', trigger, error)
      this.#machine.to('stopped', trigger, error)
    } else {
      this.#failedAtMs = this.#context.clock.now()
      this.#machine.to('error', trigger, error)
      if (!this.#isKept) this.#supervisor.onLoadFailed(this)
    }
  }

  /** Replicas keep dying: the version goes to `error`; what still runs comes to its end. */
  #onPoolFailed(cause: Error): void {
    // A drain ends its pool itself, and so does an adoption with a pool that serves no more, or not yet.
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
