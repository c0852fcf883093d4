import { inspect } from 'node:util'
import { pino } from 'pino'
import { errors, isRuntimeError, messageOf } from '../errors/errors.js'
import type { LogLevel } from '../protocol/replica/log-line.js'
import { LEVELS, type Logger, safeLogger } from './safe-logger.js'

export type { Logger } from './safe-logger.js'

/** Maximum number of bytes of unwritten lines; further lines are dropped. */
const MAX_UNWRITTEN_BYTES = 2 ** 20

/** Returns a pino logger that writes to standard error, because standard output belongs to the application. */
export function createLogger(appName: string, level: LogLevel): Logger {
  const stream = pino.destination({ fd: 2, sync: true, maxLength: MAX_UNWRITTEN_BYTES })
  // Without a listener a full disk behind standard error would end the process.
  stream.on('error', () => undefined)
  return safeLogger(pino({ name: appName, level }, stream))
}

const METHODS = [...LEVELS, 'child'] as const

/**
 * Takes the logger out of options; it is the only option that no schema checks. The returned logger never throws.
 * @throws ERR_INVALID_OPTIONS if `options` is no object or the logger lacks a method
 */
export function takeLogger<T extends { logger?: Logger }>(
  options: T,
  caller: string,
): [logger: Logger | undefined, rest: Omit<T, 'logger'>] {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new errors.ERR_INVALID_OPTIONS(`${caller}: the options must be an object, not ${inspect(options)}`)
  }
  try {
    const { logger, ...rest } = options
    if (logger === undefined) return [undefined, rest]
    const missing = METHODS.filter((name) => typeof logger?.[name] !== 'function')
    if (missing.length === 0) return [safeLogger(logger), rest]
    throw new errors.ERR_INVALID_OPTIONS(
      `${caller}: \`logger\` must have ${METHODS.join(', ')}, as a pino logger has; it lacks ${missing.join(', ')}`,
    )
  } catch (error) {
    if (isRuntimeError(error)) throw error
    throw new errors.ERR_INVALID_OPTIONS(`${caller}: the options cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
