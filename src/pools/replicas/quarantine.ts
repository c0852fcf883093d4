import type { Clock } from '../../platform/clock.js'
import type { StuckReplica } from '../settings/stuck-replica.js'
import type { Replica } from './replica.js'

/** Time in which the thread of a replica that could not be started should end. */
export const FAILED_START_MS = 1_000

/** The quarantined replicas. Each one counts until it has ended: a thread ends when its task returns. */
export class Quarantine {
  readonly #clock: Clock
  readonly #replicas = new Set<Replica>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#replicas.size
  }

  add(replica: Replica): void {
    this.#replicas.add(replica)
    void replica.host.terminate().then(() => this.#replicas.delete(replica))
  }

  /** Ends a replica; if it has not ended after `timeoutMs`, it is quarantined. */
  async end(replica: Replica, timeoutMs: number): Promise<void> {
    if ((await replica.end(timeoutMs)) === 'stuck') this.add(replica)
  }

  stuck(): StuckReplica[] {
    const now = this.#clock.now()
    return [...this.#replicas].map((replica) => replica.stuck(now))
  }

  /** Resolves when the threads of all replicas that are in quarantine now have ended. */
  async whenEmpty(): Promise<void> {
    await Promise.all([...this.#replicas].map((replica) => replica.host.terminate()))
  }
}
