import { inspect } from 'node:util'
import { pino } from 'pino'
import { errors } from '../errors.js'
import type { LogLevel } from '../protocol/messages.js'

type Write = (fields: Record<string, unknown>, message: string) => void

/** What this library needs of a logger; a pino logger is one. */
export interface Logger {
  readonly fatal: Write
  readonly error: Write
  readonly warn: Write
  readonly info: Write
  readonly debug: Write
  readonly trace: Write
  /** Writes out what it holds back, if it does. */
  flush?(): void
  child(bindings: Record<string, unknown>): Logger
}

/** A pino logger on standard error: standard output belongs to the host. */
export function createLogger(appName: string, level: LogLevel): Logger {
  return pino({ name: appName, level }, pino.destination({ fd: 2, sync: true }))
}

const METHODS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'child'] as const

/**
 * Takes the logger out of options, which is the one thing in them that no schema checks.
 * @throws ERR_INVALID_OPTIONS
 */
export function takeLogger<T extends { logger?: Logger }>(
  options: T,
  what: string,
): [logger: Logger | undefined, rest: Omit<T, 'logger'>] {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new errors.ERR_INVALID_OPTIONS(`${what}: the options must be an object, not ${inspect(options)}`)
  }
  const { logger, ...rest } = options
  const missing = METHODS.filter((name) => logger !== undefined && typeof logger?.[name] !== 'function')
  if (missing.length === 0) return [logger, rest]
  throw new errors.ERR_INVALID_OPTIONS(
    `${what}: \`logger\` must have ${METHODS.join(', ')}, as a pino logger has; it lacks ${missing.join(', ')}`,
  )
}
