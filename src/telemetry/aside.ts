import { isPromise } from 'node:util/types'

/**
 * Calls a function of the application. What it throws, or what the promise it returns rejects with,
 * is given to `failed` and breaks nothing that is under way.
 */
export function aside(call: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = call()
    if (isPromise(result)) Promise.prototype.then.call(result, undefined, failed)
  } catch (error) {
    if (isExiting()) endWith(error)
    else failed(error)
  }
}

/** Node's own mark, set before the exit listeners are called. */
export function isExiting(): boolean {
  return (process as { _exiting?: boolean })._exiting === true
}

/**
 * An exit listener has thrown inside a `process.exit()` of the application, which came back because of
 * it. The error ends the process, as it does where nobody catches it. By now Node runs no `nextTick`.
 */
function endWith(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
