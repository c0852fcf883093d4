import { errors } from '../errors.js'
import type { Signature } from '../tensors/tensor.js'
import type { ChosenRun } from './choose-runs.js'
import { Departures } from './departures.js'
import type { PoolSettings, PoolSource, PoolStats } from './pool-settings.js'
import { prepareReplica } from './prepare-replica.js'
import { Replica, type StuckReplica } from './replica.js'
import type { ReplicaHost } from './replica-host.js'
import { Restarts } from './restarts.js'

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
/** Time for the session of a replica that is not wanted any more to be released. */
const RELEASE_MS = 10_000

/** Keeps a pool's threads at their number: starts them, replaces the dead and the stuck, ends them. */
export class ReplicaSet {
  readonly #settings: PoolSettings
  readonly #source: PoolSource
  readonly #createHost: () => ReplicaHost
  readonly #listener: ReplicaSetListener
  readonly #restarts: Restarts
  readonly #replicas = new Set<Replica>()
  readonly #quarantine = new Set<Replica>()
  readonly #idle: Replica[] = []
  readonly #departures = new Departures((replica) => this.#dismiss(replica))
  #wanted: number
  #growth: Promise<void> | undefined
  #isFailed = false
  #isEnded = false
  #restartCount = 0
  #watchdog: NodeJS.Timeout | undefined

  constructor(
    settings: PoolSettings,
    source: PoolSource,
    createHost: () => ReplicaHost,
    listener: ReplicaSetListener,
  ) {
    this.#settings = settings
    this.#wanted = settings.replicas
    this.#source = source
    this.#createHost = createHost
    this.#listener = listener
    this.#restarts = new Restarts(settings)
  }

  /** How many replicas there are to be. */
  get wanted(): number {
    return this.#wanted
  }

  get hosts(): ReplicaHost[] {
    return [...this.#replicas].map((replica) => replica.host)
  }

  stats(): Omit<PoolStats, 'queued' | 'inFlight' | 'batching'> {
    const replicas = [...this.#replicas]
    return {
      replicas: replicas.length,
      idle: this.#idle.length,
      busy: replicas.filter(isRunning).length,
      starting: replicas.filter((replica) => replica.state === 'starting').length,
      quarantined: this.#quarantine.size,
      restarts: this.#restartCount,
    }
  }

  /** Starts the first replica, then the others, with an artifact all at once; rejects with the first failure. */
  async start(): Promise<Signature> {
    const first = this.#startReplica()
    if (this.#source.task.artifact === undefined) await first
    const others = Array.from({ length: this.#wanted - 1 }, () => this.#startReplica())
    const [signature] = await Promise.all([first, ...others])
    this.#watch()
    return signature
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
    this.#assertServing()
    this.#wanted = wanted
    while (this.#missing > 0 && this.#departures.recall()) {}
    this.#shrink()
    if (this.#missing > 0) this.#growth ??= this.#grow()
    while (this.#growth !== undefined || !this.#departures.isOver) {
      await this.#growth
      await this.#departures.over()
    }
    this.#assertServing()
  }

  /** How many have nothing to do. */
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

  /** Puts replicas in quarantine whose run has taken too long. */
  tick(nowMs: number): void {
    for (const replica of this.#replicas) {
      const isStuck = isRunning(replica) && replica.runningMs(nowMs) >= this.#settings.stuckAfterMs
      if (isStuck) this.#giveUp(replica, nowMs)
    }
  }

  /** Ends every replica; returns those that were not over after `timeoutMs`. May be called again. */
  async stop(timeoutMs: number): Promise<StuckReplica[]> {
    this.#isEnded = true
    clearInterval(this.#watchdog)
    this.#restarts.cancelAll()
    this.#idle.length = 0
    this.#departures.forgetAll()
    const ending = [...this.#replicas, ...this.#departures.ending]
    await Promise.all(ending.map((replica) => this.#end(replica, timeoutMs)))
    this.#replicas.clear()
    // Those that were in quarantine before have been waited for long enough.
    return this.stuck()
  }

  /** The replicas in quarantine. */
  stuck(): StuckReplica[] {
    const now = performance.now()
    return [...this.#quarantine].map((replica) => replica.stuck(now))
  }

  /** Resolves when the threads of all replicas in quarantine have ended. */
  async quarantineOver(): Promise<void> {
    await Promise.all([...this.#quarantine].map((replica) => replica.host.terminate()))
  }

  /** How many more replicas are wanted than there are; one that is about to be replaced counts as there. */
  get #missing(): number {
    return this.#wanted + this.#departures.occupied - this.#replicas.size - this.#restarts.pending
  }

  #shrink(): void {
    while (this.#missing < 0 && this.#restarts.cancelOne()) {}
    const staying = [...this.#replicas].filter((replica) => !this.#departures.has(replica))
    const starting = staying.filter(({ state }) => state === 'starting')
    const busy = staying.filter(({ state }) => state === 'busy')
    for (const replica of [...starting, ...this.#idle, ...busy]) {
      if (this.#missing >= 0) return
      this.#departures.add(replica)
    }
  }

  async #grow(): Promise<void> {
    const { inTurn = (load) => load() } = this.#source
    try {
      while (this.#missing > 0) {
        await inTurn(async () => {
          this.#assertServing()
          if (this.#missing > 0) await this.#startReplica()
        })
      }
    } catch (error) {
      // One that is not wanted any more may fail.
      if (this.#missing <= 0) return
      this.#wanted = Math.max(1, this.#wanted - this.#missing)
      throw error
    } finally {
      this.#growth = undefined
    }
  }

  async #startReplica(): Promise<Signature> {
    const { model, version } = this.#settings
    const replica = new Replica(this.#createHost(), model, version)
    this.#replicas.add(replica)
    replica.host.onExit = (cause) => this.#lose(replica, cause)
    const isGivenUp = (): boolean => this.#isEnded || this.#departures.has(replica)
    try {
      const signature = await prepareReplica(replica, this.#settings, this.#source, isGivenUp)
      this.#assertServing()
      if (this.#departures.has(replica)) {
        void this.#departures.letGo(replica)
        return signature
      }
      this.#listener.available(replica)
      return signature
    } catch (error) {
      // Of a set that is being stopped, `stop` ends every replica and reports on it.
      if (this.#isEnded) throw error
      this.#replicas.delete(replica)
      this.#departures.forget(replica)
      // Not longer: a load cannot be cancelled, its thread ends when it returns.
      await this.#end(replica, FAILED_START_MS)
      throw error
    }
  }

  #lose(replica: Replica, cause: Error): void {
    const wasStarting = replica.state === 'starting'
    replica.state = 'dead'
    // One that dies while it starts is dealt with where it is started.
    if (wasStarting || !this.#replicas.has(replica)) return
    this.#forget(replica)
    this.#departures.forget(replica)
    this.#replace(cause)
  }

  #forget(replica: Replica): void {
    this.#replicas.delete(replica)
    const index = this.#idle.indexOf(replica)
    if (index !== -1) this.#idle.splice(index, 1)
  }

  async #dismiss(replica: Replica): Promise<void> {
    this.#forget(replica)
    await this.#end(replica, RELEASE_MS)
  }

  #giveUp(replica: Replica, nowMs: number): void {
    const stuck = replica.stuck(nowMs)
    replica.state = 'quarantined'
    this.#replicas.delete(replica)
    this.#departures.forget(replica)
    replica.host.detach()
    this.#leaveAlone(replica)
    this.#listener.stuck(stuck)
    const { model, version } = stuck
    const error = new errors.ERR_REPLICA_STUCK(
      `a run of ${model}@${version} has not returned for ${Math.round(stuck.runningMs)} ms; its replica is in quarantine`,
      { model, version },
    )
    this.#listener.orphaned(replica.abandon(error), error)
    this.#replace(error)
  }

  async #end(replica: Replica, timeoutMs: number): Promise<void> {
    if ((await replica.end(timeoutMs)) === 'stuck') this.#leaveAlone(replica)
  }

  /** Its thread ends if the task returns one day; until then it counts. */
  #leaveAlone(replica: Replica): void {
    this.#quarantine.add(replica)
    void replica.host.terminate().then(() => this.#quarantine.delete(replica))
  }

  #replace(cause: Error): void {
    if (this.#isEnded || this.#isFailed) return
    if (this.#missing <= 0) {
      this.#listener.lost(cause, undefined)
      return
    }
    const delayMs = this.#restarts.schedule(() => {
      this.#restartCount += 1
      this.#startReplica().catch((error: Error) => this.#replace(error))
    })
    this.#listener.lost(cause, delayMs)
    if (delayMs !== undefined) return
    this.#isFailed = true
    this.#restarts.cancelAll()
    this.#listener.failed(cause)
  }

  #watch(): void {
    const { stuckAfterMs } = this.#settings
    if (stuckAfterMs === 0 || this.#isEnded) return
    const everyMs = Math.max(10, Math.min(1_000, stuckAfterMs / 4))
    this.#watchdog = setInterval(() => this.tick(performance.now()), everyMs)
    this.#watchdog.unref()
  }

  #assertServing(): void {
    if (!this.#isEnded && !this.#isFailed) return
    const { model, version } = this.#settings
    const what = this.#isEnded ? 'was stopped' : 'keeps losing replicas'
    throw new errors.ERR_MODEL_UNAVAILABLE(`the pool of ${model}@${version} ${what}`, { model, version })
  }
}

function isRunning({ state }: Replica): boolean {
  return state === 'busy' || state === 'leaving'
}
