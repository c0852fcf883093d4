import { errors } from '../../errors/errors.js'
import { asRuntimeError } from '../../protocol/error-codec.js'
import type { VersionRecord } from '../context/version-record.js'

/** Converts an error thrown during a load into the error that the load of `version` rejects with. */
export function loadError(version: VersionRecord, thrown: unknown): Error {
  const { label, subject } = version
  if (!(thrown instanceof errors.ERR_REPLICA_EXITED)) {
    return asRuntimeError('ERR_MODEL_LOAD', `${label} cannot be loaded`, thrown, subject)
  }
  return new errors.ERR_MODEL_LOAD(
    `${label} cannot be loaded; its replica exited during the load: ${thrown.message}`,
    { ...subject, cause: thrown },
  )
}
