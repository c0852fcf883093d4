import { errors } from '../errors.js'
import { decodeError } from '../protocol/error-codec.js'
import type { Failure, RunDone, RunResult } from '../protocol/messages.js'
import { RecycledBuffers } from '../tensors/recycled-buffers.js'
import type { Signature } from '../tensors/tensor.js'
import { AnswerReader } from './answers.js'
import type { ChosenRun } from './choose-runs.js'
import { CrashBudget } from './crash-budget.js'
import { writePack } from './pack.js'
import type { PoolSettings, PoolSource, PoolStats } from './pool-settings.js'
import { Replica, type StuckReplica } from './replica.js'
import type { ReplicaHost } from './replica-host.js'

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
export class ReplicaSet {
  readonly #settings: PoolSettings
  readonly #source: PoolSource
  readonly #createHost: () => ReplicaHost
  readonly #listener: ReplicaSetListener
  readonly #budget: CrashBudget
  readonly #replicas = new Set<Replica>()
  readonly #quarantine = new Set<Replica>()
  readonly #idle: Replica[] = []
  readonly #restartTimers = new Set<NodeJS.Timeout>()
  #isFailed = false
  #isEnded = false
  #restarts = 0
  #watchdog: NodeJS.Timeout | undefined

  constructor(
    settings: PoolSettings,
    source: PoolSource,
    createHost: () => ReplicaHost,
    listener: ReplicaSetListener,
  ) {
    this.#settings = settings
    this.#source = source
    this.#createHost = createHost
    this.#listener = listener
    this.#budget = new CrashBudget(settings)
  }

  get hosts(): ReplicaHost[] {
    return [...this.#replicas].map((replica) => replica.host)
  }

  stats(): Omit<PoolStats, 'queued' | 'inFlight' | 'batching'> {
    const replicas = [...this.#replicas]
    return {
      replicas: replicas.length,
      idle: this.#idle.length,
      busy: replicas.filter((replica) => replica.state === 'busy').length,
      starting: replicas.filter((replica) => replica.state === 'starting').length,
      quarantined: this.#quarantine.size,
      restarts: this.#restarts,
    }
  }

  /** Starts the first replica, then the others; rejects with the first failure. */
  async start(): Promise<Signature> {
    const signature = await this.#startReplica()
    await Promise.all(Array.from({ length: this.#settings.replicas - 1 }, () => this.#startReplica()))
    this.#watch()
    return signature
  }

  /** How many have nothing to do. */
  get idleCount(): number {
    return this.#idle.length
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
      const isStuck = replica.state === 'busy' && replica.runningMs(nowMs) >= this.#settings.stuckAfterMs
      if (isStuck) this.#giveUp(replica, nowMs)
    }
  }

  /** Ends every replica; returns those that were not over after `timeoutMs`. May be called again. */
  async stop(timeoutMs: number): Promise<StuckReplica[]> {
    this.#isEnded = true
    clearInterval(this.#watchdog)
    this.#cancelRestarts()
    this.#idle.length = 0
    await Promise.all([...this.#replicas].map((replica) => this.#end(replica, timeoutMs)))
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

  async #startReplica(): Promise<Signature> {
    const { model, version, loadTimeoutMs } = this.#settings
    const replica = new Replica(this.#createHost(), model, version)
    this.#replicas.add(replica)
    replica.host.onExit = (cause) => this.#lose(replica, cause)
    try {
      const reply = await replica.load(this.#source.task, loadTimeoutMs)
      if (!reply.ok) throw decodeError(reply.error)
      await this.#warmUp(replica, reply.signature)
      if (this.#isEnded || this.#isFailed) throw this.#stopped()
      this.#listener.available(replica)
      return reply.signature
    } catch (error) {
      // Of a set that is being stopped, `stop` ends every replica and reports on it.
      if (this.#isEnded) throw error
      this.#replicas.delete(replica)
      // Not longer: a load cannot be cancelled, its thread ends when it returns.
      await this.#end(replica, FAILED_START_MS)
      throw error
    }
  }

  async #warmUp(replica: Replica, signature: Signature): Promise<void> {
    const { warmUp } = this.#source
    if (warmUp === undefined || this.#isEnded) return
    const { model, version, loadTimeoutMs } = this.#settings
    const inputs = warmUp.inputs(signature)
    const run = { requests: [{ inputs, outputs: undefined, transfer: false, rows: 1 }], keep: undefined }
    const { task, transfer } = writePack(signature, [run], undefined, new RecycledBuffers(), 0)
    const reply = await replica.warmUp(task, transfer, loadTimeoutMs)
    const result = reply.ok ? (reply.results[0] as RunResult) : reply
    if (!('answer' in result)) {
      const cause = decodeError((result as Failure).error)
      throw new errors.ERR_WARMUP(`the sample of ${model}@${version} could not be run: ${cause.message}`, {
        model,
        version,
        cause,
      })
    }
    warmUp.check(new AnswerReader(signature).single(result.answer, undefined, (reply as RunDone).buffer))
  }

  #lose(replica: Replica, cause: Error): void {
    const wasStarting = replica.state === 'starting'
    replica.state = 'dead'
    // One that dies while it starts is dealt with where it is started.
    if (wasStarting || !this.#replicas.delete(replica)) return
    const index = this.#idle.indexOf(replica)
    if (index !== -1) this.#idle.splice(index, 1)
    this.#replace(cause)
  }

  #giveUp(replica: Replica, nowMs: number): void {
    const stuck = replica.stuck(nowMs)
    replica.state = 'quarantined'
    this.#replicas.delete(replica)
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
    const delayMs = this.#budget.spend(performance.now())
    this.#listener.lost(cause, delayMs)
    if (delayMs === undefined) {
      this.#isFailed = true
      this.#cancelRestarts()
      this.#listener.failed(cause)
      return
    }
    const timer = setTimeout(() => {
      this.#restartTimers.delete(timer)
      this.#restarts += 1
      this.#startReplica().catch((error: Error) => this.#replace(error))
    }, delayMs)
    this.#restartTimers.add(timer)
  }

  #watch(): void {
    const { stuckAfterMs } = this.#settings
    if (stuckAfterMs === 0 || this.#isEnded) return
    const everyMs = Math.max(10, Math.min(1_000, stuckAfterMs / 4))
    this.#watchdog = setInterval(() => this.tick(performance.now()), everyMs)
    this.#watchdog.unref()
  }

  #cancelRestarts(): void {
    for (const timer of this.#restartTimers) clearTimeout(timer)
    this.#restartTimers.clear()
  }

  #stopped(): Error {
    const { model, version } = this.#settings
    return new errors.ERR_MODEL_UNAVAILABLE(`the pool of ${model}@${version} was stopped`, { model, version })
  }
}
