import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Where the files of this package are. This module is built twice: as an ES module, which has `import.meta.url`, and
// into `dist/src/index.cjs`, whose `__dirname` is the folder of that file. Each place is written out for bundlers and
// file tracers to see.

// Not by `__dirname`, which `node -e` defines for everybody.
const isCommonJs = import.meta.url === undefined

// Not imported: webpack would resolve what is required, and put nothing in the place of the rest.
const { createRequire } = process.getBuiltinModule('node:module')

/** Resolves packages as this one does. */
export const requireHere: NodeJS.Require = createRequire(isCommonJs ? __filename : import.meta.url)

/** Entry of replica threads. Bundled it is CommonJS: a thread that ends while an ES module is `require()`d aborts the process. */
export function replicaEntry(): string {
  if (isCommonJs) return join(__dirname, '../workers/replica.cjs')
  return fileURLToPath(new URL('../../workers/replica.cjs', import.meta.url))
}

/** Entry of the process that tries models and builds artifacts. */
export function builderEntry(): string {
  if (isCommonJs) return join(__dirname, '../workers/artifact-builder.cjs')
  return fileURLToPath(new URL('../../workers/artifact-builder.cjs', import.meta.url))
}
