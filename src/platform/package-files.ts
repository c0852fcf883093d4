import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// This module is built twice: as an ES module, which has `import.meta.url`, and into `dist/src/index.cjs`, whose
// `__dirname` is the folder of that file. Each path is written out so that bundlers and file tracers see it.

// `__dirname` cannot decide this, because `node -e` defines it globally.
const isCommonJs = import.meta.url === undefined

// This is not an import, because webpack would resolve what is required and put nothing in the place of the rest.
const { createRequire } = process.getBuiltinModule('node:module')

/** Requires modules from the location of this package. */
export const requireHere: NodeJS.Require = createRequire(isCommonJs ? __filename : import.meta.url)

/**
 * Returns the path of the entry of replica threads. It is bundled as CommonJS, because a thread that ends while an ES
 * module is `require()`d aborts the process.
 */
export function replicaEntry(): string {
  if (isCommonJs) return join(__dirname, '../workers/replica.cjs')
  return fileURLToPath(new URL('../../workers/replica.cjs', import.meta.url))
}

/** Returns the path of the entry of the process that tries models and builds artifacts. */
export function builderEntry(): string {
  if (isCommonJs) return join(__dirname, '../workers/artifact-builder.cjs')
  return fileURLToPath(new URL('../../workers/artifact-builder.cjs', import.meta.url))
}
