import { Lane } from '../../async/lane.js'
import { errors } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { anonymousBytesOf } from '../../platform/process-memory.js'
import type { BuilderOrder, BuilderReplies } from '../../protocol/builder/builder-messages.js'
import type { Failure } from '../../protocol/failure.js'
import { BuilderDeath } from './builder-failure.js'
import { type BuilderEntry, endChild, setAwake, startChild } from './child-processes.js'
import { type Builder, type BuilderLimits, sendOrder } from './send-order.js'

/** Time without an order after which a process is ended. */
const IDLE_MS = 2_000
/** Memory of a process after an order, in bytes, above which it gets no other one. */
const KEPT_BYTES = 128 * 2 ** 20

/**
 * Sends orders to builder processes: one after another to the same process, as long as none takes longer than
 * the size of its model explains; if one does, the next order goes to another process.
 */
export class BuilderProcess {
  readonly #clock: Clock
  readonly #entry: BuilderEntry
  readonly #lane: Lane
  readonly #busy = new Set<Builder>()
  #idle: Builder | undefined
  #idleTimer: Timer | undefined
  #isClosed = false

  constructor(clock: Clock, entry: BuilderEntry) {
    this.#clock = clock
    this.#entry = entry
    this.#lane = new Lane(clock, 1)
  }

  /**
   * Sends an order and resolves with its reply; sends it once more if the process is killed from outside
   * meanwhile.
   * @throws BuilderDeath, BuilderUnavailable, ERR_RUNTIME_CLOSED
   */
  run<T extends BuilderOrder>(order: T, limits: BuilderLimits): Promise<BuilderReplies[T['kind']] | Failure> {
    const exchange = (): Promise<unknown> => this.#exchange(order, limits)
    const result = this.#lane.add(
      () => exchange().catch((error) => (wasKilled(error) ? exchange() : Promise.reject(error))),
      limits.fileBytes,
    )
    return result as Promise<BuilderReplies[T['kind']] | Failure>
  }

  /** Ends the processes at once, even in the middle of an order. */
  close(): void {
    this.#isClosed = true
    this.#endIdle()
    for (const { child } of this.#busy) endChild(child)
  }

  async #exchange(order: BuilderOrder, limits: BuilderLimits): Promise<unknown> {
    this.#assertOpen()
    const builder = this.#takeIdle() ?? (await this.#start())
    const { child } = builder
    this.#busy.add(builder)
    try {
      this.#assertOpen()
      setAwake(child, limits.keepsAwake !== false)
      const reply = await sendOrder(this.#clock, builder, order, limits)
      const mayStay = order.kind !== 'build' && (await anonymousBytesOf(child.pid as number)) <= KEPT_BYTES
      if (mayStay && !this.#isClosed) this.#keep(builder)
      else endChild(child)
      return reply
    } catch (error) {
      endChild(child)
      this.#assertOpen()
      throw error
    } finally {
      this.#busy.delete(builder)
      setAwake(child, false)
    }
  }

  async #start(): Promise<Builder> {
    const builder = { child: await startChild(this.#clock, this.#entry), isReady: false }
    builder.child.once('exit', () => {
      if (this.#idle === builder) this.#takeIdle()
    })
    return builder
  }

  #takeIdle(): Builder | undefined {
    const builder = this.#idle
    this.#clock.clear(this.#idleTimer)
    this.#idle = undefined
    return builder
  }

  #keep(builder: Builder): void {
    this.#endIdle()
    this.#idle = builder
    this.#idleTimer = this.#clock.setTimeout(() => this.#endIdle(), IDLE_MS).unref()
  }

  #endIdle(): void {
    const builder = this.#takeIdle()
    if (builder !== undefined) endChild(builder.child)
  }

  #assertOpen(): void {
    if (this.#isClosed)
      throw new errors.ERR_RUNTIME_CLOSED('the runtime was closed while a model was prepared')
  }
}

function wasKilled(error: unknown): boolean {
  return error instanceof BuilderDeath && error.kind === 'killed'
}
