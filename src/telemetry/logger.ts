import { inspect } from 'node:util'
import { pino } from 'pino'
import { errors, isRuntimeError, messageOf } from '../errors/errors.js'
import type { LogLevel } from '../protocol/replica/log-line.js'
import { LEVELS, type Logger, safeLogger } from './safe-logger.js'

export type { Logger } from './safe-logger.js'

/** Lines that could not be written are kept up to so many bytes, and more of them dropped. */
const MAX_UNWRITTEN_BYTES = 2 ** 20

/** A pino logger on standard error: standard output belongs to the host. */
export function createLogger(appName: string, level: LogLevel): Logger {
  const stream = pino.destination({ fd: 2, sync: true, maxLength: MAX_UNWRITTEN_BYTES })
  // Without a listener a full disk behind standard error would end the host.
  stream.on('error', () => undefined)
  return safeLogger(pino({ name: appName, level }, stream))
}

const METHODS = [...LEVELS, 'child'] as const

/**
 * Takes the logger out of options, which is the one thing in them that no schema checks. What is
 * returned never throws.
 * @throws ERR_INVALID_OPTIONS
 */
export function takeLogger<T extends { logger?: Logger }>(
  options: T,
  what: string,
): [logger: Logger | undefined, rest: Omit<T, 'logger'>] {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new errors.ERR_INVALID_OPTIONS(`${what}: the options must be an object, not ${inspect(options)}`)
  }
  try {
    const { logger, ...rest } = options
    if (logger === undefined) return [undefined, rest]
    const missing = METHODS.filter((name) => typeof logger?.[name] !== 'function')
    if (missing.length === 0) return [safeLogger(logger), rest]
    throw new errors.ERR_INVALID_OPTIONS(
      `${what}: \`logger\` must have ${METHODS.join(', ')}, as a pino logger has; it lacks ${missing.join(', ')}`,
    )
  } catch (error) {
    if (isRuntimeError(error)) throw error
    throw new errors.ERR_INVALID_OPTIONS(`${what}: the options cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
