import type { ErrorCode } from '../errors/errors.js'
import type { Transitions } from '../state/transitions.js'

/** The states of a request. It is open in the first three and over in the others. */
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

/** The state of a request. */
export type RequestState = (typeof REQUEST_STATES)[number]
/** A state in which a request is open. */
export type OpenRequestState = 'received' | 'queued' | 'running'
type EndState = Exclude<RequestState, OpenRequestState>

/**
 * The states that may follow each state; all other moves are illegal. `rejected` means refused before a run: a request
 * that has run can fail but not be rejected.
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

/** Returns true if `state` is final. */
export function isOver(state: RequestState): boolean {
  return REQUEST_TRANSITIONS[state].length === 0
}

/** The end state for each error code; a request with any other error fails. */
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

/** The end state for errors of the platform, with which `fetch` and other users of an `AbortSignal` reject. */
const ENDS_BY_NAME: Readonly<Record<string, EndState>> = {
  AbortError: 'cancelled',
  TimeoutError: 'timed-out',
}

/** Returns the state in which a request ends with `error`; `failed` if that state cannot follow `from`. */
export function endStateOf(error: unknown, from: RequestState): EndState {
  const code = errorCodeOf(error)
  const name = code === undefined ? textOf(error, 'name') : undefined
  const end = ENDS[code as ErrorCode] ?? ENDS_BY_NAME[name as string]
  return end !== undefined && REQUEST_TRANSITIONS[from].includes(end) ? end : 'failed'
}

/** Returns the `code` of an error of this library or of Node; undefined if it has none. */
export function errorCodeOf(error: unknown): string | undefined {
  return textOf(error, 'code')
}

/** Reads a text property of a thrown value, which may be no error or have getters that throw. */
function textOf(error: unknown, key: 'code' | 'name'): string | undefined {
  try {
    const text = error instanceof Error ? (error as { code?: unknown; name: unknown })[key] : undefined
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined
  }
}
