import type { RunRequest } from '../../pools/queue/run-request.js'
import type { VersionPool } from '../../pools/version-pool.js'
import type { Logger } from '../../telemetry/logger.js'
import type { VersionRecord } from '../context/version-record.js'
import type { ArtifactAdoption } from '../loading/artifact-adoption.js'

/** The pool that a version has, with what holds only while it has one. */
export class ServedPool {
  readonly #logger: Logger
  readonly #version: VersionRecord
  #pool: VersionPool
  /** Takes the first requests as samples, to build the artifact of the version; undefined if it needs none. */
  #adoption: ArtifactAdoption | undefined
  /** The number of replicas before some were taken because the version was unused; undefined if none were. */
  #fullReplicas: number | undefined

  constructor(pool: VersionPool, logger: Logger, version: VersionRecord) {
    this.#pool = pool
    this.#logger = logger
    this.#version = version
  }

  get pool(): VersionPool {
    return this.#pool
  }

  adopt(adoption: ArtifactAdoption): void {
    this.#adoption = adoption
  }

  /** The adoption has all the requests that it needs. */
  stopSampling(): void {
    this.#adoption = undefined
  }

  /** Takes requests with `next` from now on. */
  exchange(next: VersionPool): void {
    this.#pool = next
  }

  /** Admits a request whose input has been checked. */
  submit(request: RunRequest): void {
    this.#adoption?.offer(request)
    if (this.#fullReplicas !== undefined) this.#restoreReplicas()
    this.#pool.submit(request)
  }

  /** Leaves so many replicas, until the next request. */
  shrink(replicas: number): void {
    const pool = this.#pool
    if (!pool.isOpen || pool.wanted <= replicas) return
    this.#fullReplicas ??= pool.wanted
    // A pool that has been stopped meanwhile needs no replicas.
    pool.resize(replicas).catch(() => undefined)
  }

  /** Its number of replicas was set anew: none is given back. */
  keepReplicas(): void {
    this.#fullReplicas = undefined
  }

  /** The pool is on its way out. */
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
      this.#logger.warn({ err, ...this.#version.subject }, 'a pool could not be given its replicas back')
    })
  }
}
