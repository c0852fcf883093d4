import { inspect } from 'node:util'
import { LOG_LEVELS, type LogLevel, type LogLine } from '../../src/protocol/replica/log-line.js'

type Level = Exclude<LogLevel, 'silent'>

/** Sends log lines of at least `level` to the main thread, which owns the logger. */
export class ReplicaLog {
  level: LogLevel
  readonly #send: (line: LogLine) => void

  constructor(level: LogLevel, send: (line: LogLine) => void) {
    this.level = level
    this.#send = send
  }

  /** Writes a line. Never throws, whatever a loader passes; an unknown level counts as `debug`. */
  write(level: Level, message: string, data: Record<string, unknown> = {}): void {
    const validLevel: Level = isLevel(level) ? level : 'debug'
    if (LOG_LEVELS.indexOf(validLevel) > LOG_LEVELS.indexOf(this.level)) return
    const fields = typeof data === 'object' && data !== null ? data : { fields: data }
    try {
      this.#send({ kind: 'log', level: validLevel, message: String(message), fields })
    } catch {
      this.#sendInspected(validLevel, message, fields)
    }
  }

  /** Sends a line as inspected text: functions and proxies, for example, can be shown but not sent. */
  #sendInspected(level: Level, message: unknown, fields: unknown): void {
    try {
      this.#send({ kind: 'log', level, message: inspect(message), fields: { fields: inspect(fields) } })
    } catch {
      // Values that cannot be shown either are dropped.
    }
  }
}

function isLevel(level: unknown): level is Level {
  return level !== 'silent' && LOG_LEVELS.some((name) => name === level)
}
