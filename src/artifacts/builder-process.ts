import type { ChildProcess } from 'node:child_process'
import { Lane } from '../async/lane.js'
import { errors } from '../errors.js'
import { systemClock } from '../platform/clock.js'
import { anonymousBytesOf } from '../platform/process-memory.js'
import type { BuilderOrder, BuilderReplies } from '../protocol/builder-messages.js'
import type { Failure } from '../protocol/messages.js'
import { BuilderDeath } from './builder-failure.js'
import { type BuilderEntry, endChild, setAwake, startChild } from './child-processes.js'
import { type BuilderLimits, converse } from './converse.js'

/** Without an order a process ends after this time. */
const IDLE_MS = 2_000
/** A process that holds more than that after an order gets no other one. */
const KEPT_BYTES = 128 * 2 ** 20

/**
 * Gives orders to builder processes: one after another to the same one, as long as none takes longer than
 * the size of its model explains; then the next goes to a process of its own.
 */
export class BuilderProcess {
  readonly #entry: BuilderEntry
  readonly #lane = new Lane(systemClock, 1)
  readonly #busy = new Set<ChildProcess>()
  #idle: ChildProcess | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(entry: BuilderEntry) {
    this.#entry = entry
  }

  /**
   * Has an order carried out; once more if somebody else ends the process meanwhile.
   * @throws BuilderDeath, NoBuilder, ERR_RUNTIME_CLOSED
   */
  run<T extends BuilderOrder>(order: T, limits: BuilderLimits): Promise<BuilderReplies[T['kind']] | Failure> {
    const exchange = (): Promise<unknown> => this.#exchange(order, limits)
    const result = this.#lane.add(
      () => exchange().catch((error) => (wasKilled(error) ? exchange() : Promise.reject(error))),
      limits.fileBytes,
    )
    return result as Promise<BuilderReplies[T['kind']] | Failure>
  }

  /** Ends the processes, whatever they are doing. */
  close(): void {
    this.#isClosed = true
    this.#endIdle()
    for (const child of this.#busy) endChild(child)
  }

  async #exchange(order: BuilderOrder, limits: BuilderLimits): Promise<unknown> {
    this.#assertOpen()
    const child = this.#takeIdle() ?? (await this.#start())
    this.#busy.add(child)
    try {
      this.#assertOpen()
      setAwake(child, limits.keepsAwake !== false)
      const reply = await converse(child, order, limits)
      const mayStay = order.kind !== 'build' && (await anonymousBytesOf(child.pid as number)) <= KEPT_BYTES
      if (mayStay && !this.#isClosed) this.#keep(child)
      else endChild(child)
      return reply
    } catch (error) {
      endChild(child)
      this.#assertOpen()
      throw error
    } finally {
      this.#busy.delete(child)
      setAwake(child, false)
    }
  }

  async #start(): Promise<ChildProcess> {
    const child = await startChild(this.#entry)
    child.once('exit', () => {
      if (this.#idle === child) this.#takeIdle()
    })
    return child
  }

  #takeIdle(): ChildProcess | undefined {
    const child = this.#idle
    clearTimeout(this.#idleTimer)
    this.#idle = undefined
    return child
  }

  #keep(child: ChildProcess): void {
    this.#endIdle()
    this.#idle = child
    this.#idleTimer = setTimeout(() => this.#endIdle(), IDLE_MS)
    this.#idleTimer.unref()
  }

  #endIdle(): void {
    const child = this.#takeIdle()
    if (child !== undefined) endChild(child)
  }

  #assertOpen(): void {
    if (this.#isClosed)
      throw new errors.ERR_RUNTIME_CLOSED('the runtime was closed while a model was prepared')
  }
}

function wasKilled(error: unknown): boolean {
  return error instanceof BuilderDeath && error.kind === 'killed'
}
