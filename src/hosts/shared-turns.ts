import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'
import { createTurns } from '../protocol/guard/turn.js'

/** Replicas get the memory with their data, main threads and others that a runtime lives in as environment data. */
const KEY = 'tbcoin-engine.turn'

/** Returns the memory that all copies of this library share, and all threads that are started after the first call. */
export function sharedTurns(): SharedArrayBuffer {
  const found = getEnvironmentData(KEY)
  if (found instanceof SharedArrayBuffer) return found
  const created = createTurns()
  setEnvironmentData(KEY, created)
  return created
}
