/**
 * The error, for a line of pino's. Messages of this library tell their causes, and pino adds those of all
 * causes to a message: a cause that has been told is left out, but for its stack.
 */
export function logOnce(error: unknown): unknown {
  try {
    return told(error, new Set())
  } catch {
    // Anything can be thrown, also what throws when it is looked at.
    return error
  }
}

function told(error: unknown, above: ReadonlySet<unknown>): unknown {
  if (!(error instanceof Error)) return error
  // Of causes that go round in a circle.
  if (above.has(error)) return undefined
  const { message } = error
  const seen = new Set([...above, error])
  const stacks = [error.stack]
  let { cause } = error
  while (cause instanceof Error && !seen.has(cause) && message.includes(cause.message)) {
    seen.add(cause)
    stacks.push(cause.stack)
    cause = cause.cause
  }
  const rest = told(cause, seen)
  return rest === error.cause ? error : copyOf(error, stacks.join('\ncaused by: '), rest)
}

/** Whoever has the error keeps it as it is. */
function copyOf(error: Error, stack: string, cause: unknown): Error {
  const own = (value: unknown): PropertyDescriptor => ({ value, configurable: true, writable: true })
  return Object.create(Object.getPrototypeOf(error), {
    ...Object.getOwnPropertyDescriptors(error),
    message: own(error.message),
    stack: own(stack),
    cause: own(cause),
  })
}
