import type { RunRequest } from '../../pools/queue/run-request.js'
import type { VersionPool } from '../../pools/version-pool.js'
import type { Logger } from '../../telemetry/logger.js'
import type { VersionRecord } from '../context/version-record.js'
import type { ArtifactAdoption } from '../loading/artifact-adoption.js'

/** The pool of a version, with the state that the version has only while it has a pool. */
export class ServedPool {
  readonly #logger: Logger
  readonly #version: VersionRecord
  #pool: VersionPool
  /** Builds the artifact of the version from the first requests; undefined if it needs no samples, or no more. */
  #adoption: ArtifactAdoption | undefined
  /** Number of replicas before the unused pool was shrunk; undefined if it was not. */
  #fullReplicas: number | undefined

  constructor(pool: VersionPool, logger: Logger, version: VersionRecord) {
    this.#pool = pool
    this.#logger = logger
    this.#version = version
  }

  get pool(): VersionPool {
    return this.#pool
  }

  /** Sets the adoption that takes the next requests as samples. */
  adopt(adoption: ArtifactAdoption): void {
    this.#adoption = adoption
  }

  /** Stops offering requests to the adoption, which has enough samples. */
  stopSampling(): void {
    this.#adoption = undefined
  }

  /** Sends requests to `next` from now on. */
  exchange(next: VersionPool): void {
    this.#pool = next
  }

  /** Admits a request whose input has been checked. */
  submit(request: RunRequest): void {
    this.#adoption?.offer(request)
    if (this.#fullReplicas !== undefined) this.#restoreReplicas()
    this.#pool.submit(request)
  }

  /** Shrinks the pool to `replicas`, until the next request. */
  shrink(replicas: number): void {
    const pool = this.#pool
    if (!pool.isOpen || pool.wanted <= replicas) return
    this.#fullReplicas ??= pool.wanted
    // The resize fails only if the pool is stopped meanwhile.
    pool.resize(replicas).catch(() => undefined)
  }

  /** Keeps the current number of replicas at the next request, since it was set explicitly. */
  keepReplicas(): void {
    this.#fullReplicas = undefined
  }

  /** Cancels the adoption and the growth at the next request, since the pool is about to end. */
  detach(): void {
    this.#adoption?.cancel()
    this.#fullReplicas = undefined
  }

  #restoreReplicas(): void {
    const [replicas, pool] = [this.#fullReplicas as number, this.#pool]
    this.#fullReplicas = undefined
    if (!pool.isOpen) return
    pool.resize(replicas).catch((err: unknown) => {
      if (!pool.isOpen) return
      this.#logger.warn({ err, ...this.#version.subject }, 'replicas not restored after idling')
    })
  }
}
