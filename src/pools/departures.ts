import type { Replica } from './replica.js'

/** The replicas for which a pool that was made smaller has no place, until their threads have ended. */
export class Departures {
  readonly #dismiss: (replica: Replica) => Promise<void>
  /** In a load or a run, which comes to its end first. */
  readonly #occupied = new Set<Replica>()
  readonly #ending = new Set<Replica>()
  #whenOver: (() => void)[] = []

  /** @param dismiss forgets a replica that has nothing to do, and ends it; never rejects. */
  constructor(dismiss: (replica: Replica) => Promise<void>) {
    this.#dismiss = dismiss
  }

  get isOver(): boolean {
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

  /** The replica goes when it has nothing to do; one that is starting is let go by whoever starts it. */
  add(replica: Replica): void {
    if (replica.state === 'idle') {
      void this.letGo(replica)
      return
    }
    this.#occupied.add(replica)
    if (replica.state === 'busy') void this.#letGoAfterRun(replica)
  }

  /** Keeps one of those that are occupied; false if there is none. */
  recall(): boolean {
    const [replica] = this.#occupied
    if (replica === undefined) return false
    if (replica.state === 'leaving') replica.state = 'busy'
    this.forget(replica)
    return true
  }

  /** The replica stays, or is gone. */
  forget(replica: Replica): void {
    if (this.#occupied.delete(replica)) this.#tell()
  }

  forgetAll(): void {
    this.#occupied.clear()
    this.#tell()
  }

  /** The replica has nothing to do, and goes. */
  async letGo(replica: Replica): Promise<void> {
    this.#ending.add(replica)
    this.#occupied.delete(replica)
    await this.#dismiss(replica)
    this.#ending.delete(replica)
    this.#tell()
  }

  /** Resolves when nobody is on the way out, for a moment at least. */
  over(): Promise<void> {
    if (this.isOver) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenOver.push(resolve)
    })
  }

  async #letGoAfterRun(replica: Replica): Promise<void> {
    const { tasks } = replica
    replica.state = 'leaving'
    // One whose thread has died is heard of again.
    if (!(await replica.whenFree())) return
    // Unless it was kept and is in another task.
    if (replica.tasks === tasks && this.has(replica)) void this.letGo(replica)
  }

  #tell(): void {
    if (!this.isOver) return
    for (const resolve of this.#whenOver.splice(0)) resolve()
  }
}
