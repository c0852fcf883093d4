import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'
import { createTurns } from '../protocol/guard/turn.js'

/**
 * Key of the memory in the environment data of threads. Replicas receive the memory with their data; main threads and
 * other threads with a runtime find it here.
 */
const KEY = 'tbcoin-engine.turn'

/**
 * Returns the memory of turns, which all copies of this library share, in all threads that are started after the
 * first call.
 */
export function sharedTurns(): SharedArrayBuffer {
  const found = getEnvironmentData(KEY)
  if (found instanceof SharedArrayBuffer) return found
  const created = createTurns()
  setEnvironmentData(KEY, created)
  return created
}
