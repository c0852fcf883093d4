import { errors } from '../errors.js'
import type { ReplicaHost } from '../hosts/replica-host.js'
import type { Signature } from '../tensors/tensor.js'
import type { ChosenRun } from './choose-runs.js'
import { Departures } from './departures.js'
import { type GrowingSet, Growth } from './growth.js'
import type { PoolSettings, PoolSource, PoolStats } from './pool-settings.js'
import { prepareReplica } from './prepare-replica.js'
import { Quarantine } from './quarantine.js'
import { RELEASE_MS, Replica, type StuckReplica } from './replica.js'
import { type ReplacingSet, Restarts } from './restarts.js'
import { Watchdog } from './watchdog.js'

export interface ReplicaSetListener {
  /** The replica has loaded its model and has nothing to do. */
  available(replica: Replica): void
  lost(cause: Error, restartInMs: number | undefined): void
  /** A replica was given up that was to run these too. */
  orphaned(runs: readonly ChosenRun[], cause: Error): void
  /** Called before the run's caller is told. */
  stuck(stuck: StuckReplica): void
  /** No replica is replaced any more. */
  failed(cause: Error): void
}

/** Time for the thread of a replica that could not be started to end. */
export const FAILED_START_MS = 1_000

/** Keeps a pool's threads at their number: starts them, replaces the dead and the stuck, ends them. */
export class ReplicaSet implements GrowingSet, ReplacingSet {
  readonly #settings: PoolSettings
  readonly #source: PoolSource
  readonly #createHost: () => ReplicaHost
  readonly #listener: ReplicaSetListener
  readonly #restarts: Restarts
  readonly #replicas = new Set<Replica>()
  readonly #quarantine: Quarantine
  readonly #idle: Replica[] = []
  /** Those that could not be started, until their threads have ended. */
  readonly #unstarted = new Set<Replica>()
  readonly #departures = new Departures((replica) => this.#dismiss(replica))
  #wanted: number
  readonly #growth: Growth
  /** Why the last replica could not be started, until all that are wanted serve. */
  #fault: Error | undefined
  #isEnded = false
  readonly #watchdog: Watchdog

  constructor(
    settings: PoolSettings,
    source: PoolSource,
    createHost: () => ReplicaHost,
    listener: ReplicaSetListener,
  ) {
    const { clock } = settings
    this.#settings = settings
    this.#quarantine = new Quarantine(clock)
    this.#wanted = settings.replicas
    this.#source = source
    this.#createHost = createHost
    this.#listener = listener
    this.#restarts = new Restarts(clock, this, settings)
    this.#growth = new Growth(this, { ...settings, inTurn: source.inTurn })
    this.#watchdog = new Watchdog(clock, settings.stuckAfterMs, this.#replicas, (replica) =>
      this.#giveUp(replica),
    )
  }

  get wanted(): number {
    return this.#wanted
  }

  stats(): Omit<PoolStats, 'queued' | 'inFlight' | 'batching'> {
    const replicas = [...this.#replicas]
    return {
      wanted: this.#wanted,
      replicas: replicas.length,
      idle: this.#idle.length,
      busy: replicas.filter((replica) => replica.isRunning).length,
      starting: replicas.filter((replica) => replica.state === 'starting').length,
      quarantined: this.#quarantine.size,
      restarts: this.#restarts.count,
      isGrowing: this.#growth.isUnderWay && this.#fault === undefined,
      fault: this.#fault?.message,
    }
  }

  /** Starts the first replica, alone: nothing else is to slow it down. */
  async start(): Promise<Signature> {
    const signature = await this.startReplica()
    if (this.#settings.stuckAfterMs > 0 && !this.#isEnded) this.#watchdog.start()
    return signature
  }

  /** Starts the others in the background; one that fails is tried again for as long as another one serves. */
  fill(): void {
    this.#growth.fill()
  }

  get servingCount(): number {
    return [...this.#replicas].filter(({ state }) => state === 'idle' || state === 'busy').length
  }

  /** See `Growth.whenServing`. */
  whenServing(count: number): Promise<void> {
    return this.#growth.whenServing(count)
  }

  /**
   * Changes how many replicas there are; the others are left as they are. More are started one
   * after another and serve when they are ready; what is too much goes when it has nothing to do,
   * those first that serve nobody now. Resolves when it is done. Rejects with the first failure:
   * then there are to be as many as there are. Of calls that overlap the last one counts, and all
   * settle with it. Only for a set that has started.
   */
  async resize(wanted: number): Promise<void> {
    // Not in the middle of a dispatch, one of whose listeners may have called this.
    await Promise.resolve()
    this.assertServing()
    this.#wanted = wanted
    while (this.missing > 0 && this.#departures.recall()) {}
    this.#shrink()
    this.#growth.changed()
    this.#growth.begin()
    while (this.#growth.running !== undefined || !this.#departures.isOver) {
      await this.#growth.running
      await this.#departures.over()
    }
    this.assertServing()
  }

  get idleCount(): number {
    return this.#idle.length
  }

  /** Whether the replica is one of them, and stays. */
  has(replica: Replica): boolean {
    return this.#replicas.has(replica) && !this.#departures.has(replica)
  }

  /** All but those in quarantine. */
  all(): Iterable<Replica> {
    return this.#replicas
  }

  /** A replica with nothing to do; of those that fit the one used last, since its caches are warm. */
  takeIdle(fits?: (replica: Replica) => boolean): Replica | undefined {
    if (fits === undefined) return this.#idle.pop()
    const index = this.#idle.findLastIndex(fits)
    return index === -1 ? undefined : this.#idle.splice(index, 1)[0]
  }

  /** Keeps a replica that has nothing to do. */
  rest(replica: Replica): void {
    replica.rest()
    this.#idle.push(replica)
  }

  /** Ends every replica; returns those that were not over after `timeoutMs`. May be called again. */
  async stop(timeoutMs: number): Promise<StuckReplica[]> {
    this.#isEnded = true
    this.#watchdog.stop()
    this.#restarts.cancelAll()
    this.#growth.changed()
    this.#idle.length = 0
    this.#departures.forgetAll()
    const ending = [...this.#replicas, ...this.#departures.ending, ...this.#unstarted]
    await Promise.all(ending.map((replica) => this.#end(replica, timeoutMs)))
    this.#replicas.clear()
    // Those that were in quarantine before have been waited for long enough.
    return this.stuck()
  }

  stuck(): StuckReplica[] {
    return this.#quarantine.stuck()
  }

  quarantineOver(): Promise<void> {
    return this.#quarantine.over()
  }

  /** A task has no reply. A replica whose host has failed is replaced; one that is gone is heard of by itself. */
  taskLost(replica: Replica, error: unknown): void {
    // One that was given up as stuck has been dealt with.
    if (replica.state === 'quarantined') return
    const cause = replica.lossBy(error)
    this.#listener.orphaned(replica.abandon(cause), cause)
    if (cause === error) {
      if (replica.state === 'busy') replica.state = 'dead'
      return
    }
    // Of a set that is being stopped, `stop` ends every replica.
    if (this.#isEnded || !this.#replicas.has(replica)) return
    this.#isolate(replica)
    this.#restarts.replace(cause)
  }

  /** How many more replicas are wanted than there are; one that is about to be replaced counts as there. */
  get missing(): number {
    return this.#wanted + this.#departures.occupied - this.#replicas.size - this.#restarts.pending
  }

  #shrink(): void {
    while (this.missing < 0 && this.#restarts.cancelOne()) {}
    const staying = [...this.#replicas].filter((replica) => !this.#departures.has(replica))
    const starting = staying.filter(({ state }) => state === 'starting')
    const busy = staying.filter(({ state }) => state === 'busy')
    for (const replica of [...starting, ...this.#idle, ...busy]) {
      if (this.missing >= 0) return
      this.#departures.add(replica)
    }
  }

  get isOver(): boolean {
    return this.#isEnded || this.#restarts.isSpent
  }

  curtail(cause: Error): void {
    this.#wanted = Math.max(1, this.#wanted - this.missing)
    this.#growth.changed()
    // The last one has to be replaced, although nobody waits for that.
    if (this.missing > 0) this.#restarts.replace(cause)
  }

  startFailed(cause: Error, retryInMs: number): void {
    this.#fault = cause
    this.#listener.lost(cause, retryInMs)
  }

  lost(cause: Error, restartInMs: number | undefined): void {
    this.#listener.lost(cause, restartInMs)
  }

  retryLater(cause: Error): void {
    this.#growth.retryLater(cause)
  }

  failed(cause: Error): void {
    this.#growth.changed()
    this.#listener.failed(cause)
  }

  async startReplica(): Promise<Signature> {
    this.assertServing()
    const { clock, model, version } = this.#settings
    const replica = new Replica(clock, this.#createHost(), model, version)
    this.#replicas.add(replica)
    replica.host.onExit = (cause) => this.#lose(replica, cause)
    const isGivenUp = (): boolean => this.#isEnded || this.#departures.has(replica)
    try {
      const signature = await prepareReplica(replica, this.#settings, this.#source, isGivenUp)
      this.assertServing()
      if (this.#departures.has(replica)) {
        void this.#departures.letGo(replica)
        return signature
      }
      this.#listener.available(replica)
      if (this.servingCount >= this.#wanted) this.#fault = undefined
      this.#growth.changed()
      return signature
    } catch (error) {
      // Of a set that is being stopped, `stop` ends every replica and reports on it.
      if (this.#isEnded) throw error
      this.#forget(replica)
      this.#unstarted.add(replica)
      // Not longer: a load cannot be cancelled, its thread ends when it returns.
      await this.#end(replica, FAILED_START_MS)
      this.#unstarted.delete(replica)
      throw error
    }
  }

  #lose(replica: Replica, cause: Error): void {
    const wasStarting = replica.state === 'starting'
    replica.state = 'dead'
    // One that dies while it starts is dealt with where it is started.
    if (wasStarting || !this.#replicas.has(replica)) return
    this.#forget(replica)
    this.#restarts.replace(cause)
  }

  #forget(replica: Replica): void {
    this.#replicas.delete(replica)
    this.#departures.forget(replica)
    const index = this.#idle.indexOf(replica)
    if (index !== -1) this.#idle.splice(index, 1)
  }

  async #dismiss(replica: Replica): Promise<void> {
    this.#forget(replica)
    await this.#end(replica, RELEASE_MS)
  }

  #giveUp(replica: Replica): void {
    const stuck = replica.stuck(this.#settings.clock.now())
    this.#isolate(replica)
    this.#listener.stuck(stuck)
    const error = replica.stuckError(stuck)
    this.#listener.orphaned(replica.abandon(error), error)
    this.#restarts.replace(error)
  }

  #isolate(replica: Replica): void {
    replica.quarantine()
    this.#forget(replica)
    this.#quarantine.add(replica)
  }

  async #end(replica: Replica, timeoutMs: number): Promise<void> {
    if ((await replica.end(timeoutMs)) === 'stuck') this.#quarantine.add(replica)
  }

  assertServing(): void {
    if (!this.isOver) return
    const { model, version } = this.#settings
    const what = this.#isEnded ? 'was stopped' : 'keeps losing replicas'
    throw new errors.ERR_MODEL_UNAVAILABLE(`the pool of ${model}@${version} ${what}`, { model, version })
  }
}
