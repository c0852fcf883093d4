import type { HoldLock } from '../context/locks.js'
import { ModelLane } from '../context/model-lane.js'
import type { ModelVersion } from '../version/model-version.js'
import { NO_ROUTES, type Routes } from './routes.js'
import type { SwapTicket } from './swap-ticket.js'

/** A model: its versions, where its requests go, and the order of its changes. */
export class Model {
  readonly name: string
  readonly lane: ModelLane
  readonly #versions = new Map<string, ModelVersion>()
  #routes = NO_ROUTES
  /** The newest swap that is not settled. */
  #swap: SwapTicket | undefined

  /** `onIdle` is called each time that no change is left. */
  constructor(name: string, hold: HoldLock, onIdle: (model: Model) => void) {
    this.name = name
    this.lane = new ModelLane(hold, () => onIdle(this))
  }

  get routes(): Routes {
    return this.#routes
  }

  /** Sends requests by `routes` from now on: the one assignment that changes where they go. */
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

  /** Makes the version known, in the place of one with the same label. */
  add(version: ModelVersion): void {
    this.#versions.set(version.spec.version, version)
  }

  /** Returns false if another version has the label now, or none. */
  remove(version: ModelVersion): boolean {
    const label = version.spec.version
    return this.#versions.get(label) === version && this.#versions.delete(label)
  }

  /** Supersedes the newest swap by another one. */
  beginSwap(ticket: SwapTicket): void {
    this.#swap?.supersede(ticket.version)
    this.#swap = ticket
  }

  endSwap(ticket: SwapTicket): void {
    if (this.#swap === ticket) this.#swap = undefined
  }
}
