import { errors } from '../../errors/errors.js'
import type { ReplicaHost } from '../../hosts/replica-host.js'
import type { Signature } from '../../tensors/tensor.js'
import type { PlannedRun } from '../queue/planned-run.js'
import { lostError, stuckError } from '../settings/pool-errors.js'
import type { PoolLife } from '../settings/pool-life.js'
import type { PoolSettings, PoolSource, PoolStats } from '../settings/pool-settings.js'
import type { StuckReplica } from '../settings/stuck-replica.js'
import { type GrowingSet, Growth } from './growth.js'
import { IdleReplicas } from './idle-replicas.js'
import { prepareReplica } from './prepare-replica.js'
import { FAILED_START_MS, Quarantine } from './quarantine.js'
import { Replica } from './replica.js'
import { type ReplacingSet, Restarts } from './restarts.js'
import { RetiringReplicas } from './retiring-replicas.js'
import { Watchdog } from './watchdog.js'

/** The events of a set of replicas. */
export interface ReplicaEvents {
  /** A replica has become idle after its load. */
  available(): void
  lost(cause: Error, restartInMs: number | undefined): void
  /** Runs of a lost or quarantined replica that other replicas have to do. */
  requeue(runs: readonly PlannedRun[], cause: Error): void
  stuck(stuck: StuckReplica): void
  /** The crash budget is spent: no replica is replaced any more. */
  failed(cause: Error): void
  unexpected(error: unknown): void
}

/** Keeps the replicas of a pool at their target number: starts them, replaces dead and stuck ones, ends them. */
export class ReplicaSet implements GrowingSet, ReplacingSet {
  readonly idle = new IdleReplicas()
  readonly #settings: PoolSettings
  readonly #source: PoolSource
  readonly #createHost: () => ReplicaHost
  readonly #life: PoolLife
  readonly #replicas = new Set<Replica>()
  /** Replicas that could not be started, until their threads have ended. */
  readonly #unstarted = new Set<Replica>()
  readonly #quarantine: Quarantine
  readonly #retiring: RetiringReplicas
  readonly #restarts: Restarts
  readonly #growth: Growth
  readonly #watchdog: Watchdog
  #events!: ReplicaEvents
  #wanted: number
  /** The reason why the last replica could not be started; undefined once all that are wanted serve. */
  #fault: Error | undefined

  constructor(settings: PoolSettings, source: PoolSource, createHost: () => ReplicaHost, life: PoolLife) {
    const { clock } = settings
    this.#settings = settings
    this.#source = source
    this.#createHost = createHost
    this.#life = life
    this.#wanted = settings.replicas
    this.#quarantine = new Quarantine(clock)
    this.#retiring = new RetiringReplicas(this.#quarantine)
    this.#restarts = new Restarts(settings, this)
    this.#growth = new Growth(this, { ...settings, inTurn: source.inTurn })
    this.#watchdog = new Watchdog(clock, settings.stuckAfterMs, this.#replicas, (replica) =>
      settings.outbox.during(() => this.#onStuck(replica)),
    )
  }

  /** Sets the listener. To be called once, before `start`; `events` may refer to objects built over this set. */
  attach(events: ReplicaEvents): void {
    this.#events = events
  }

  get wanted(): number {
    return this.#wanted
  }

  get hosts(): ReplicaHost[] {
    return [...this.#replicas].map(({ host }) => host)
  }

  stats(): Omit<PoolStats, 'queued' | 'inFlight' | 'batching'> {
    const replicas = [...this.#replicas]
    return {
      wanted: this.#wanted,
      replicas: replicas.length,
      idle: this.idle.size,
      busy: replicas.filter((replica) => replica.isRunning).length,
      starting: replicas.filter((replica) => replica.state === 'starting').length,
      quarantined: this.#quarantine.size,
      restarts: this.#restarts.count,
      isGrowing: this.#growth.isUnderWay && this.#fault === undefined,
      fault: this.#fault?.message,
    }
  }

  /** Starts the first replica alone, so that nothing slows it down. */
  async start(): Promise<Signature> {
    const signature = await this.startReplica()
    if (this.#settings.stuckAfterMs > 0 && !this.#life.isStopped) this.#watchdog.start()
    return signature
  }

  /** Starts the other replicas in the background; retries a failed start while another replica serves. */
  fill(): void {
    this.#growth.fill()
  }

  get servingCount(): number {
    return [...this.#replicas].filter(({ isServing }) => isServing).length
  }

  /** Resolves when `count` replicas serve, see `Growth.whenServing`. */
  whenServing(count: number): Promise<void> {
    return this.#growth.whenServing(count)
  }

  /**
   * Changes the number of replicas; those that stay are not affected. Additional ones are started one after another
   * and serve as soon as they are ready; surplus ones end when they have nothing to do, unused ones first. Resolves
   * when the number is reached. Rejects with the first failure; the target is then the present number. If calls
   * overlap, the last one counts, and all settle with it. Only for a set that has started.
   */
  async resize(wanted: number): Promise<void> {
    // This waits for the end of a dispatch, because one of its listeners may have called `resize`.
    await Promise.resolve()
    this.assertServing()
    this.#wanted = wanted
    while (this.missing > 0 && this.#retiring.keepOne()) {}
    this.#shrink()
    this.#growth.changed()
    this.#growth.begin()
    while (this.#growth.running !== undefined || !this.#retiring.isEmpty) {
      await this.#growth.running
      await this.#retiring.whenEmpty()
    }
    this.assertServing()
  }

  /** Returns true if the replica belongs to the set and stays. */
  has(replica: Replica): boolean {
    return this.#replicas.has(replica) && !this.#retiring.has(replica)
  }

  /** Returns all replicas except those in quarantine. */
  all(): Iterable<Replica> {
    return this.#replicas
  }

  /**
   * Takes back a replica whose task has ended or was not sent. Returns true if it is idle now; a retiring one ends.
   */
  onTaskEnd(replica: Replica): boolean {
    if (replica.state === 'busy') {
      this.idle.add(replica)
      return true
    }
    if (replica.state === 'leaving' && this.#retiring.has(replica)) this.#dismiss(replica)
    return false
  }

  /** Takes back the runs of a replica whose task has no reply; replaces the replica if its host has failed. */
  onTaskLost(replica: Replica, error: unknown): void {
    const cause = lostError(this.#settings, error)
    // The runs of a quarantined replica have been taken back already.
    const runs = replica.state === 'quarantined' ? [] : replica.abandon(cause)
    // The host also reports an exit, and `stop` ends every replica of a set that is being stopped.
    if (cause === error) replica.exited(cause)
    else if (!this.#life.isStopped && this.#replicas.has(replica)) {
      this.#isolate(replica)
      this.#restarts.replace(cause)
    }
    this.#events.requeue(runs, cause)
  }

  /** Ends every replica; returns those that have not ended after `timeoutMs`. May be called again. */
  async stop(timeoutMs: number): Promise<StuckReplica[]> {
    this.#watchdog.stop()
    this.#restarts.cancelAll()
    this.#growth.changed()
    this.idle.clear()
    this.#retiring.forgetAll()
    const ending = [...this.#replicas, ...this.#retiring.ending, ...this.#unstarted]
    await Promise.all(ending.map((replica) => this.#quarantine.end(replica, timeoutMs)))
    this.#replicas.clear()
    // The replicas that were quarantined before are not awaited again.
    return this.stuck()
  }

  stuck(): StuckReplica[] {
    return this.#quarantine.stuck()
  }

  whenQuarantineEmpty(): Promise<void> {
    return this.#quarantine.whenEmpty()
  }

  /** Number of replicas to start, negative for surplus ones; one that is about to be replaced counts as existing. */
  get missing(): number {
    return this.#wanted + this.#retiring.occupied - this.#replicas.size - this.#restarts.pending
  }

  #shrink(): void {
    while (this.missing < 0 && this.#restarts.cancelOne()) {}
    const staying = [...this.#replicas].filter((replica) => !this.#retiring.has(replica))
    const starting = staying.filter(({ state }) => state === 'starting')
    const busy = staying.filter(({ state }) => state === 'busy')
    for (const replica of [...starting, ...this.idle.all(), ...busy]) {
      if (this.missing >= 0) return
      if (replica.state === 'idle') this.#dismiss(replica)
      else this.#retiring.add(replica)
    }
  }

  get isOver(): boolean {
    return this.#life.isOver
  }

  curtail(cause: Error): void {
    this.#wanted = Math.max(1, this.#wanted - this.missing)
    this.#growth.changed()
    // The last replica has to be replaced, although no caller waits for it.
    if (this.missing > 0) this.#restarts.replace(cause)
  }

  startFailed(cause: Error, retryInMs: number): void {
    this.#fault = cause
    this.#events.lost(cause, retryInMs)
  }

  lost(cause: Error, restartInMs: number | undefined): void {
    this.#events.lost(cause, restartInMs)
  }

  retryLater(cause: Error): void {
    this.#growth.retryLater(cause)
  }

  failed(cause: Error): void {
    this.#events.failed(cause)
    this.#growth.changed()
  }

  async startReplica(): Promise<Signature> {
    this.assertServing()
    const { clock, model, version } = this.#settings
    const replica = new Replica(clock, this.#createHost(), model, version)
    this.#replicas.add(replica)
    replica.host.onExit = (cause) => this.#settings.outbox.during(() => this.#onExit(replica, cause))
    const isUnwanted = (): boolean => this.#life.isStopped || this.#retiring.has(replica)
    try {
      const signature = await prepareReplica(replica, this.#settings, this.#source, isUnwanted)
      this.assertServing()
      replica.assertAlive()
      if (this.#retiring.has(replica)) {
        this.#dismiss(replica)
        return signature
      }
      this.idle.add(replica)
      if (this.servingCount >= this.#wanted) this.#fault = undefined
      this.#growth.changed()
      this.#events.available()
      return signature
    } catch (error) {
      // If the set is being stopped, `stop` ends every replica and reports on it.
      if (this.#life.isStopped) throw error
      this.#replicas.delete(replica)
      this.#retiring.forget(replica)
      this.#unstarted.add(replica)
      // The limit is short, because a load cannot be cancelled; its thread ends when it returns.
      await this.#quarantine.end(replica, FAILED_START_MS)
      this.#unstarted.delete(replica)
      throw error
    }
  }

  #onExit(replica: Replica, cause: Error): void {
    const wasStarting = replica.state === 'starting'
    replica.exited(cause)
    // `startReplica` handles a replica that dies while it starts.
    if (wasStarting || !this.#replicas.has(replica)) return
    this.#forget(replica)
    this.#retiring.forget(replica)
    this.#restarts.replace(cause)
  }

  #forget(replica: Replica): void {
    this.#replicas.delete(replica)
    this.idle.remove(replica)
  }

  /** Ends a replica that has nothing to do. */
  #dismiss(replica: Replica): void {
    this.#forget(replica)
    this.#retiring.end(replica).catch((error) => this.#events.unexpected(error))
  }

  #onStuck(replica: Replica): void {
    const stuck = replica.stuck(this.#settings.clock.now())
    this.#isolate(replica)
    this.#events.stuck(stuck)
    const error = stuckError(stuck, replica.host.isKillable)
    const runs = replica.abandon(error)
    this.#restarts.replace(error)
    this.#events.requeue(runs, error)
  }

  #isolate(replica: Replica): void {
    replica.quarantine()
    this.#forget(replica)
    this.#retiring.forget(replica)
    this.#quarantine.add(replica)
  }

  assertServing(): void {
    if (!this.isOver) return
    const { model, version } = this.#settings
    const what = this.#life.isStopped ? 'was stopped' : 'has spent its crash budget'
    throw new errors.ERR_MODEL_UNAVAILABLE(`the pool of ${model}@${version} ${what}`, { model, version })
  }
}
