import type { PlannedRun } from '../queue/planned-run.js'
import type { Replica } from './replica.js'

/** The idle replicas. The one used last comes first, because its caches are warm. */
export class IdleReplicas {
  readonly #replicas: Replica[] = []

  get size(): number {
    return this.#replicas.length
  }

  /** Returns the first idle replica that `fits`, or the first of all; it stays idle. */
  first(fits?: (replica: Replica) => boolean): Replica | undefined {
    return fits === undefined ? this.#replicas.at(-1) : this.#replicas.findLast(fits)
  }

  all(): readonly Replica[] {
    return this.#replicas
  }

  /** Adds a replica that has nothing to do, and marks it idle. */
  add(replica: Replica): void {
    replica.markIdle()
    this.#replicas.push(replica)
  }

  /** Assigns runs, or other work, to an idle replica, which is then busy. */
  assign(replica: Replica, runs?: readonly PlannedRun[]): void {
    replica.markBusy(runs)
    this.remove(replica)
  }

  remove(replica: Replica): void {
    if (this.#replicas.at(-1) === replica) this.#replicas.pop()
    else {
      const index = this.#replicas.indexOf(replica)
      if (index !== -1) this.#replicas.splice(index, 1)
    }
  }

  clear(): void {
    this.#replicas.length = 0
  }
}
