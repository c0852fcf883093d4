import { errors } from '../errors/errors.js'

/** Returns the error of the tasks of a replica that has exited; `cause` is undefined if it was terminated. */
export function exitError(
  { model, version }: { readonly model: string; readonly version: string },
  cause: Error | undefined,
  reason = cause?.message ?? 'it was terminated',
): Error {
  return new errors.ERR_REPLICA_EXITED(`a replica of ${model}@${version} exited: ${reason}`, {
    model,
    version,
    cause,
  })
}
