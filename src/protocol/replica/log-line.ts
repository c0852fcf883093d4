export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A log line, which a replica sends beside its replies. */
export interface LogLine {
  readonly kind: 'log'
  readonly level: Exclude<LogLevel, 'silent'>
  readonly message: string
  readonly fields: Record<string, unknown>
}

export function isLogLine(message: unknown): message is LogLine {
  if (!isObject(message)) return false
  const { kind, level, message: text, fields } = message as Partial<LogLine>
  const isLevel = level !== ('silent' as LogLevel) && LOG_LEVELS.some((name) => name === level)
  return kind === 'log' && isLevel && typeof text === 'string' && isObject(fields)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
