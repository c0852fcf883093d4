/**
 * A replica whose run has not returned. It is ended if its host is killable; otherwise it is abandoned in quarantine.
 */
export interface StuckReplica {
  readonly model: string
  readonly version: string
  /** Id of the replica's thread; undefined if it has ended. */
  readonly threadId: number | undefined
  /** Milliseconds for which its task, or the release of its session, has been running. */
  readonly runningMs: number
}
