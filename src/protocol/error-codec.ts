import { ERROR_TABLE, type ErrorCode, errors, isRuntimeError, messageOf } from '../errors/errors.js'

/** An error as plain data. Piscina and Comlink both drop `code`, `cause` and fields of errors. */
export interface EncodedError {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly code?: string
  readonly fields?: Record<string, string | number | boolean>
  readonly cause?: EncodedError
  readonly errors?: EncodedError[]
}

/** Properties that some errors have beside the message. */
interface Coded {
  readonly code: unknown
  readonly errors: unknown
}

const MAX_DEPTH = 8
const OWN_KEYS: ReadonlySet<string> = new Set([
  'name',
  'message',
  'stack',
  'code',
  'cause',
  'errors',
  'retryable',
])

/** Returns a thrown value as data that can be sent to another thread. Never throws. */
export function encodeError(value: unknown): EncodedError {
  return encodeAt(0, value)
}

function encodeAt(depth: number, value: unknown): EncodedError {
  try {
    return value instanceof Error
      ? encoded(value, depth)
      : { name: 'NonError', message: describeThrown(value) }
  } catch {
    return { name: 'Error', message: messageOf(value) }
  }
}

function encoded(value: Error, depth: number): EncodedError {
  const { name, message, stack, code, cause, errors: inner } = value as Error & Partial<Coded>
  const fields: Record<string, string | number | boolean> = {}
  for (const [key, field] of Object.entries(value)) {
    if (OWN_KEYS.has(key)) continue
    if (typeof field === 'string' || typeof field === 'number' || typeof field === 'boolean') {
      fields[key] = field
    }
  }
  const encodeInner = (error: unknown): EncodedError => encodeAt(depth + 1, error)
  const isDeep = depth >= MAX_DEPTH
  return {
    name: String(name),
    message: String(message),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(typeof code === 'string' ? { code } : {}),
    ...(Object.keys(fields).length === 0 ? {} : { fields }),
    ...(cause === undefined || isDeep ? {} : { cause: encodeInner(cause) }),
    ...(Array.isArray(inner) && !isDeep ? { errors: Array.from(inner, encodeInner) } : {}),
  }
}

/**
 * Returns the error that was encoded: of its own class if it has a code of this library, else an Error with the same
 * name and code.
 */
export function decodeError(encoded: EncodedError): Error {
  const cause = encoded.cause === undefined ? undefined : decodeError(encoded.cause)
  const error = isErrorCode(encoded.code)
    ? new errors[encoded.code](encoded.message, { ...encoded.fields, cause })
    : plainError(encoded, cause)
  if (encoded.stack !== undefined) error.stack = encoded.stack
  return error
}

function plainError(encoded: EncodedError, cause: Error | undefined): Error {
  const options = cause === undefined ? undefined : { cause }
  const error =
    encoded.errors === undefined
      ? new Error(encoded.message, options)
      : new AggregateError(encoded.errors.map(decodeError), encoded.message, options)
  Object.defineProperty(error, 'name', { value: encoded.name, configurable: true, writable: true })
  return Object.assign(error, encoded.fields, encoded.code === undefined ? {} : { code: encoded.code })
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(ERROR_TABLE, code)
}

function describeThrown(value: unknown): string {
  try {
    return typeof value === 'string' ? value : `thrown: ${JSON.stringify(value) ?? String(value)}`
  } catch {
    return 'thrown: a value that cannot be shown'
  }
}

/**
 * Returns `thrown` if it is an error of this library, else an error with `code` and `thrown` as its cause; `what`
 * begins the message.
 */
export function asRuntimeError(
  code: ErrorCode,
  what: string,
  thrown: unknown,
  subject: { model?: string; version?: string } = {},
): Error {
  if (isRuntimeError(thrown)) return thrown
  const detail = messageOf(thrown)
  return new errors[code](`${what}: ${detail}`, { ...subject, cause: thrown })
}
