import type { z } from 'zod'
import { errors, messageOf } from '../errors/errors.js'
import { describeIssue } from './describe-issue.js'

/**
 * Validates `input` and fills in defaults.
 * @throws ERR_INVALID_OPTIONS if `input` is not valid; its message names the path, the value and the rule of
 * every mistake.
 */
export function parseOptions<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  let mistakes: string[]
  try {
    const result = schema.safeParse(input)
    if (result.success) return result.data
    mistakes = result.error.issues.map((issue) => describeIssue(issue, input, schema))
  } catch (cause) {
    // A getter or a proxy in `input` threw.
    throw new errors.ERR_INVALID_OPTIONS(`${what}: the value cannot be read: ${messageOf(cause)}`, { cause })
  }
  throw new errors.ERR_INVALID_OPTIONS(`${what}: ${mistakes.join('; ')}`)
}
