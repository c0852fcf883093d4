import { callListener } from './call-listener.js'
import { logOnce } from './log-once.js'

type Fields = Record<string, unknown>
type Write = (fields: Fields, message: string) => void

/**
 * The methods that this library calls on a logger. A pino logger has them. Each level takes the fields of a line and
 * its message.
 */
export interface Logger {
  readonly fatal: Write
  readonly error: Write
  readonly warn: Write
  readonly info: Write
  readonly debug: Write
  readonly trace: Write
  /** Writes buffered lines, if the logger buffers. */
  flush?(): void
  child(bindings: Fields): Logger
}

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

const safeLoggers = new WeakSet<Logger>()

/**
 * Returns the logger with methods that never throw. A line that it cannot write is dropped, because there is no other
 * place to report it. Its children are safe too; if a child cannot be created, the parent writes its lines.
 */
export function safeLogger(logger: Logger): Logger {
  return safeLoggers.has(logger) ? logger : wrap(logger)
}

function wrap(logger: Logger, bindings?: Fields): Logger {
  // A resource that receives a child logger may use whatever else the logger offers, so the prototype is kept.
  const safe: Logger = Object.create(logger)
  const define = (name: keyof Logger, value: unknown): void => {
    Object.defineProperty(safe, name, { value, configurable: true, writable: true })
  }
  // pino's serializer of errors appends the messages of causes.
  const isPino = Symbol.for('pino.serializers') in logger
  const lineOf = (fields: Fields): Fields => {
    const line = bindings === undefined ? fields : { ...bindings, ...fields }
    return isPino && line.err !== undefined ? { ...line, err: logOnce(line.err) } : line
  }
  for (const level of LEVELS) {
    define(level, (fields: Fields, message: string) => {
      callListener(() => logger[level](lineOf(fields), message), drop)
    })
  }
  define('flush', () => callListener(() => logger.flush?.(), drop))
  define('child', (more: Fields) => childOf(logger, { ...bindings, ...more }))
  safeLoggers.add(safe)
  return safe
}

function childOf(logger: Logger, bindings: Fields): Logger {
  let child: Logger | undefined
  callListener(() => {
    child = safeLogger(logger.child(bindings))
  }, drop)
  return child ?? wrap(logger, bindings)
}

function drop(): void {}
