import { isPromise } from 'node:util/types'

/**
 * Calls a function of the application. `onError` receives the error that it throws, or with which the promise that it
 * returns rejects; the current operation goes on.
 */
export function callListener(call: () => unknown, onError: (error: unknown) => void): void {
  try {
    const result = call()
    if (isPromise(result)) Promise.prototype.then.call(result, undefined, onError)
  } catch (error) {
    if (isExiting()) endWith(error)
    else onError(error)
  }
}

/** Returns whether the process is exiting: Node sets the flag before it calls the exit listeners. */
export function isExiting(): boolean {
  return (process as { _exiting?: boolean })._exiting === true
}

/**
 * Ends the process with the error of an exit listener inside a `process.exit()` of the application, which returned
 * because the listener threw. The rethrown error ends the process as any uncaught error does. At this point Node runs
 * no `nextTick` any more.
 */
function endWith(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
