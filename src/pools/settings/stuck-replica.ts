/** A replica whose run has not returned: it is ended if it may be, else left to itself. */
export interface StuckReplica {
  readonly model: string
  readonly version: string
  readonly threadId: number | undefined
  readonly runningMs: number
}
