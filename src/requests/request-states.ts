import type { ErrorCode } from '../errors/errors.js'
import type { Transitions } from '../state/transitions.js'

/** Where a request can be: open in the first three, over in the others. */
export const REQUEST_STATES = [
  'received',
  'queued',
  'running',
  'completed',
  'failed',
  'timed-out',
  'cancelled',
  'rejected',
] as const

export type RequestState = (typeof REQUEST_STATES)[number]
export type OpenRequestState = 'received' | 'queued' | 'running'
type EndState = Exclude<RequestState, OpenRequestState>

/**
 * What may follow what; everything else is forbidden. `rejected` is a refusal: what has
 * run cannot be rejected any more, it fails.
 */
export const REQUEST_TRANSITIONS: Transitions<RequestState> = {
  received: ['running', 'queued', 'completed', 'failed', 'timed-out', 'cancelled', 'rejected'],
  queued: ['running', 'failed', 'timed-out', 'cancelled', 'rejected'],
  running: ['completed', 'failed', 'timed-out', 'cancelled'],
  completed: [],
  failed: [],
  'timed-out': [],
  cancelled: [],
  rejected: [],
}

/** Whether nothing can follow. */
export function isOver(state: RequestState): boolean {
  return REQUEST_TRANSITIONS[state].length === 0
}

/** How a request ends that has this error; with any other it fails. */
const ENDS: { readonly [C in ErrorCode]?: EndState } = {
  ERR_DEADLINE_EXCEEDED: 'timed-out',
  ERR_ABORTED: 'cancelled',
  ERR_INVALID_OPTIONS: 'rejected',
  ERR_INVALID_INPUT: 'rejected',
  ERR_MODEL_NOT_FOUND: 'rejected',
  ERR_VERSION_NOT_FOUND: 'rejected',
  ERR_MODEL_UNAVAILABLE: 'rejected',
  ERR_OVERLOADED: 'rejected',
  ERR_CIRCUIT_OPEN: 'rejected',
  ERR_RUNTIME_CLOSED: 'rejected',
}

/** The same for errors of the platform: what `fetch` and other takers of an `AbortSignal` reject with. */
const ENDS_BY_NAME: Readonly<Record<string, EndState>> = {
  AbortError: 'cancelled',
  TimeoutError: 'timed-out',
}

/** The state in which a request ends with that error, as far as it is legal from where it is. */
export function endStateOf(error: unknown, from: RequestState): EndState {
  const code = errorCodeOf(error)
  const name = code === undefined ? textOf(error, 'name') : undefined
  const end = ENDS[code as ErrorCode] ?? ENDS_BY_NAME[name as string]
  return end !== undefined && REQUEST_TRANSITIONS[from].includes(end) ? end : 'failed'
}

/** The `code` of an error, ours or of Node, if it has one. */
export function errorCodeOf(error: unknown): string | undefined {
  return textOf(error, 'code')
}

/** Anything can be thrown, also what throws when it is looked at. */
function textOf(error: unknown, key: 'code' | 'name'): string | undefined {
  try {
    const text = error instanceof Error ? (error as { code?: unknown; name: unknown })[key] : undefined
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined
  }
}
