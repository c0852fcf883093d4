import { pino } from 'pino'
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
