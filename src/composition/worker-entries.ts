import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { requireHere } from '../platform/package-files.js'

/** Returns the absolute path of an entry, since Piscina would resolve a relative one against its own files. */
export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : resolve(entry)
}

/**
 * Returns the environment for threads and child processes: that of this process without NODE_OPTIONS, whose preloads
 * (an APM agent, for example) are meant for the application only.
 */
export function environment(): Record<string, string | undefined> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}

/**
 * Returns the Node flags that let a thread or process resolve packages under Yarn's Plug'n'Play; none elsewhere.
 * @param importsModules is true for code that imports packages from ES modules, which needs a second file of Yarn.
 */
export function resolverArgv(importsModules: boolean): readonly string[] {
  if (process.versions.pnp === undefined) return []
  const hook = requireHere.resolve('pnpapi')
  const moduleHook = hook.replace(/\.cjs$/, '.loader.mjs')
  const argv = ['--require', hook]
  if (importsModules && existsSync(moduleHook)) {
    argv.push('--experimental-loader', pathToFileURL(moduleHook).href)
  }
  return argv
}
