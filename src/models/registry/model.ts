import type { HoldLock } from '../context/locks.js'
import { ModelLane } from '../context/model-lane.js'
import type { ModelVersion } from '../version/model-version.js'
import { NO_ROUTES, type Routes } from './routes.js'
import type { SwapTicket } from './swap-ticket.js'

/** A model: its versions, the routes of its requests, and the lane of its changes. */
export class Model {
  readonly name: string
  readonly lane: ModelLane
  readonly #versions = new Map<string, ModelVersion>()
  #routes = NO_ROUTES
  /** The newest swap that is not settled. */
  #swap: SwapTicket | undefined

  /** @param onIdle is called each time the last change has ended. */
  constructor(name: string, hold: HoldLock, onIdle: (model: Model) => void) {
    this.name = name
    this.lane = new ModelLane(hold, () => onIdle(this))
  }

  get routes(): Routes {
    return this.#routes
  }

  /** Sends requests by `routes` from now on. This is the only assignment that changes their destination. */
  route(routes: Routes): void {
    this.#routes = routes
  }

  get versions(): ModelVersion[] {
    return [...this.#versions.values()]
  }

  get isEmpty(): boolean {
    return this.#versions.size === 0
  }

  /** The labels of its versions, for messages. */
  get labels(): string {
    return [...this.#versions.keys()].join(', ')
  }

  find(label: string): ModelVersion | undefined {
    return this.#versions.get(label)
  }

  /** Adds the version, which replaces one with the same label. */
  add(version: ModelVersion): void {
    this.#versions.set(version.spec.version, version)
  }

  /** Removes the version; returns false if another version, or none, has its label now. */
  remove(version: ModelVersion): boolean {
    const label = version.spec.version
    return this.#versions.get(label) === version && this.#versions.delete(label)
  }

  /** Records the newest swap, which supersedes the one before. */
  beginSwap(ticket: SwapTicket): void {
    this.#swap?.supersede(ticket.version)
    this.#swap = ticket
  }

  endSwap(ticket: SwapTicket): void {
    if (this.#swap === ticket) this.#swap = undefined
  }
}
