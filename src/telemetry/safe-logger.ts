import { aside } from './aside.js'
import { logOnce } from './log-once.js'

type Fields = Record<string, unknown>
type Write = (fields: Fields, message: string) => void

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
  child(bindings: Fields): Logger
}

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

const safeLoggers = new WeakSet<Logger>()

/**
 * The logger, none of whose methods throws any more. A line that it cannot write is dropped: there is
 * nobody left to tell. Children are safe too; of one that cannot be made, the parent writes the lines.
 */
export function safeLogger(logger: Logger): Logger {
  return safeLoggers.has(logger) ? logger : wrapped(logger)
}

function wrapped(logger: Logger, bindings?: Fields): Logger {
  // Whatever else the logger has, a resource that is given a child of it may use.
  const safe: Logger = Object.create(logger)
  const define = (name: keyof Logger, value: unknown): void => {
    Object.defineProperty(safe, name, { value, configurable: true, writable: true })
  }
  // Its serializer of errors adds the messages of their causes.
  const isPino = Symbol.for('pino.serializers') in logger
  const lineOf = (fields: Fields): Fields => {
    const line = bindings === undefined ? fields : { ...bindings, ...fields }
    return isPino && line.err !== undefined ? { ...line, err: logOnce(line.err) } : line
  }
  for (const level of LEVELS) {
    define(level, (fields: Fields, message: string) => {
      aside(() => logger[level](lineOf(fields), message), drop)
    })
  }
  define('flush', () => aside(() => logger.flush?.(), drop))
  define('child', (more: Fields) => childOf(logger, { ...bindings, ...more }))
  safeLoggers.add(safe)
  return safe
}

function childOf(logger: Logger, bindings: Fields): Logger {
  let child: Logger | undefined
  aside(() => {
    child = safeLogger(logger.child(bindings))
  }, drop)
  return child ?? wrapped(logger, bindings)
}

function drop(): void {}
