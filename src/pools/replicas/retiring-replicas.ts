import type { Quarantine } from './quarantine.js'
import { RELEASE_MS, type Replica } from './replica.js'

/** The surplus replicas of a pool that was made smaller, until their threads have ended. */
export class RetiringReplicas {
  readonly #quarantine: Quarantine
  /** Replicas whose load or run has to end first. */
  readonly #occupied = new Set<Replica>()
  readonly #ending = new Set<Replica>()
  #waiting: (() => void)[] = []

  constructor(quarantine: Quarantine) {
    this.#quarantine = quarantine
  }

  get isEmpty(): boolean {
    return this.occupied + this.#ending.size === 0
  }

  get occupied(): number {
    return this.#occupied.size
  }

  get ending(): readonly Replica[] {
    return [...this.#ending]
  }

  has(replica: Replica): boolean {
    return this.#occupied.has(replica)
  }

  /** Adds a replica that is starting or busy; it ends when it has nothing to do. */
  add(replica: Replica): void {
    if (replica.state === 'busy') replica.retire()
    this.#occupied.add(replica)
  }

  /** Keeps one of the occupied replicas; returns false if there is none. */
  keepOne(): boolean {
    const [replica] = this.#occupied
    if (replica === undefined) return false
    if (replica.state === 'leaving') replica.keep()
    this.forget(replica)
    return true
  }

  /** Removes a replica that stays, or has died. */
  forget(replica: Replica): void {
    if (this.#occupied.delete(replica)) this.#wake()
  }

  forgetAll(): void {
    this.#occupied.clear()
    this.#wake()
  }

  /** Ends a replica that has nothing to do. */
  async end(replica: Replica): Promise<void> {
    this.#ending.add(replica)
    this.#occupied.delete(replica)
    await this.#quarantine.end(replica, RELEASE_MS)
    this.#ending.delete(replica)
    this.#wake()
  }

  /** Resolves at a moment when no replica is retiring. */
  whenEmpty(): Promise<void> {
    if (this.isEmpty) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  #wake(): void {
    if (!this.isEmpty) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
