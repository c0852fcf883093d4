import { artifactStatsOf } from '../../artifacts/artifact-stats.js'
import type { Prepared } from '../../artifacts/artifacts.js'
import { MAX_TIMER_MS } from '../../config/runtime-options.js'
import type { RunRequest } from '../../pools/queue/run-request.js'
import type { VersionPool } from '../../pools/version-pool.js'
import { modelSubject } from '../../telemetry/events/subject.js'
import { inBackground } from '../../telemetry/in-background.js'
import type { Tensor } from '../../tensors/tensor.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { reserveMemory } from './reserve-memory.js'
import { SampleCollector } from './sample-collector.js'
import { startPool } from './start-pool.js'

type Build = NonNullable<Prepared['build']>

/** The version that runs the original file until it adopts an artifact. */
export interface Adopter {
  readonly record: VersionRecord
  readonly pool: VersionPool | undefined
  /** True while the version admits requests. */
  readonly isServing: boolean
  /** Runs `work` in the lane of its model. */
  change<T>(work: () => Promise<T>): Promise<T>
  createPool(prepared: Prepared): VersionPool
  makeRoom(): Promise<boolean>
}

/** The pool of the version, which the adoption exchanges. */
export interface Exchangeable {
  readonly pool: VersionPool
  /** Stops offering requests, since there are enough samples. */
  stopSampling(): void
  /** Sends requests to `next` from now on. */
  exchange(next: VersionPool): void
}

/**
 * Builds the artifact of a version that had no valid input when it was loaded. The inputs of the first successful
 * requests serve as samples. The version then gets a pool that loads the artifact; requests that are admitted
 * already finish in the pool they are in.
 */
export class ArtifactAdoption {
  readonly #context: ModelContext
  readonly #version: Adopter
  readonly #served: Exchangeable
  readonly #pool: VersionPool
  readonly #build: Build
  readonly #collector: SampleCollector

  /** @param served is the pool that serves `version` without the artifact. */
  constructor(context: ModelContext, version: Adopter, served: Exchangeable, build: Build) {
    this.#context = context
    this.#version = version
    this.#served = served
    this.#pool = served.pool
    this.#build = build
    this.#collector = new SampleCollector(context.clock, (samples) => {
      const adopted = context.scope.runInAsyncScope(() => this.#adopt(samples))
      inBackground(context, adopted, 'artifact adoption')
    })
  }

  /** Takes the inputs of a request as a sample; they have been checked. */
  offer(request: RunRequest): void {
    this.#collector.offer(request)
  }

  /** Takes no more samples; nothing is built if there are too few. */
  cancel(): void {
    this.#collector.cancel()
  }

  async #adopt(samples: readonly (readonly Tensor[])[]): Promise<void> {
    const { closing, events, logger, shortfalls } = this.#context
    const { record } = this.#version
    this.#served.stopSampling()
    try {
      const built = await this.#build(samples).finally(() => shortfalls.report())
      if (built.entry !== undefined) await this.#version.change(() => this.#exchange(built))
      else record.note({ artifact: artifactStatsOf(built) })
      const { artifact } = record.facts
      if (artifact !== undefined && this.#isServing)
        events.publish('artifactDecided', { subject: modelSubject(record.subject), ...artifact })
    } catch (err) {
      if (closing.aborted) return
      const log = logger.child({ component: 'artifacts', ...record.subject })
      log.warn({ err }, 'artifact not adopted; the version runs without it until its next load')
    }
  }

  async #exchange(built: Prepared): Promise<void> {
    const { endings } = this.#context
    const { record } = this.#version
    const next = this.#version.createPool(built)
    endings.hold(next)
    try {
      if (!this.#isUnchanged) return
      const makeRoom = (): Promise<boolean> => this.#version.makeRoom()
      const reservation = await reserveMemory(this.#context, record, built, makeRoom).catch(() => undefined)
      if (reservation === undefined) return
      await startPool(this.#context, record, next, built, reservation)
      await next.whenServing(this.#pool.servingCount)
      if (!this.#isUnchanged || !next.isOpen) return
      endings.handOver(next)
      this.#served.exchange(next)
      record.note({ artifact: artifactStatsOf(built) })
      // Requests of the old pool have no time limit here, since no caller waits for the end of that pool.
      this.#end(this.#pool, MAX_TIMER_MS)
    } finally {
      if (this.#version.pool !== next) this.#end(next, 0)
    }
  }

  get #isServing(): boolean {
    return !this.#context.closing.aborted && this.#version.isServing
  }

  get #isUnchanged(): boolean {
    return this.#isServing && this.#version.pool === this.#pool
  }

  #end(pool: VersionPool, timeoutMs: number): void {
    this.#context.endings.endInBackground(pool, timeoutMs, new Error('the pool was replaced'))
  }
}
