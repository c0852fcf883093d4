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

  /** Never throws, whatever a loader passes: a level that is unknown is `debug`. */
  write(level: Level, message: string, given: Record<string, unknown> = {}): void {
    const known: Level = isLevel(level) ? level : 'debug'
    if (LOG_LEVELS.indexOf(known) > LOG_LEVELS.indexOf(this.level)) return
    const fields = typeof given === 'object' && given !== null ? given : { fields: given }
    try {
      this.#send({ kind: 'log', level: known, message: String(message), fields })
    } catch {
      this.#sendShown(known, message, fields)
    }
  }

  /** Functions, proxies and the like can be shown but not sent. */
  #sendShown(level: Level, message: unknown, fields: unknown): void {
    try {
      this.#send({ kind: 'log', level, message: inspect(message), fields: { fields: inspect(fields) } })
    } catch {
      // It cannot be shown either.
    }
  }
}

function isLevel(level: unknown): level is Level {
  return level !== 'silent' && LOG_LEVELS.some((known) => known === level)
}
