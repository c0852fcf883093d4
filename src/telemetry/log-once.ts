/**
 * Returns the error as pino should log it. Messages of this library already contain those of their causes, and pino
 * appends the messages of all causes: a cause that is contained is left out, except for its stack.
 */
export function logOnce(error: unknown): unknown {
  try {
    return withoutRepeats(error, new Set())
  } catch {
    // Any value can be thrown, including one that throws when it is inspected.
    return error
  }
}

function withoutRepeats(error: unknown, ancestors: ReadonlySet<unknown>): unknown {
  if (!(error instanceof Error)) return error
  // Causes can form a circle.
  if (ancestors.has(error)) return undefined
  const { message } = error
  const seen = new Set([...ancestors, error])
  const stacks = [error.stack]
  let { cause } = error
  while (cause instanceof Error && !seen.has(cause) && message.includes(cause.message)) {
    seen.add(cause)
    stacks.push(cause.stack)
    cause = cause.cause
  }
  const rest = withoutRepeats(cause, seen)
  return rest === error.cause ? error : copyOf(error, stacks.join('\ncaused by: '), rest)
}

/** Returns a copy of the error, because the application may hold the original. */
function copyOf(error: Error, stack: string, cause: unknown): Error {
  const property = (value: unknown): PropertyDescriptor => ({ value, configurable: true, writable: true })
  return Object.create(Object.getPrototypeOf(error), {
    ...Object.getOwnPropertyDescriptors(error),
    message: property(error.message),
    stack: property(stack),
    cause: property(cause),
  })
}
