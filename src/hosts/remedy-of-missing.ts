import { basename } from 'node:path'

/**
 * Returns the remedy if a thread has ended because a file that it starts from, `entry` or Piscina's `worker.js`, does
 * not exist, for example in a bundle made without it.
 */
export function remedyOfMissing(error: Error, entry: string): string | undefined {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') return undefined
  const missing = /^Cannot find module '([^']+)'/.exec(error.message)?.[1] ?? ''
  if (missing === entry) return 'set `replicaEntry` if a bundler has moved it'
  if (basename(missing) !== 'worker.js') return undefined
  return 'copy `tbcoin-engine/dist/workers/worker.js` beside a bundle that contains Piscina'
}
