import type { RunRequest } from './run-request.js'

/** The requests of one run. */
export type RunRequests = readonly [RunRequest, ...RunRequest[]]

/** A run that is about to be sent, or is under way. */
export interface PlannedRun {
  readonly requests: RunRequests
  readonly rows: number
}
