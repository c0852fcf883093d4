import { LOG_LEVELS, type LogLevel, type ReplicaMessage } from '../src/protocol/messages.js'

/** Sends log lines of at least `level` to the main thread, which owns the logger. */
export class ReplicaLog {
  level: LogLevel
  readonly #send: (message: ReplicaMessage) => void

  constructor(level: LogLevel, send: (message: ReplicaMessage) => void) {
    this.level = level
    this.#send = send
  }

  write(level: Exclude<LogLevel, 'silent'>, message: string, fields: Record<string, unknown> = {}): void {
    if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(this.level)) return
    this.#send({ kind: 'log', level, message, fields })
  }
}
