import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { requireHere } from '../platform/package-files.js'

/** Absolute: Piscina would look for others beside its own files. */
export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : resolve(entry)
}

/** Without NODE_OPTIONS: what a host preloads (an APM agent, say) is not for every thread and process of ours. */
export function environment(): Record<string, string | undefined> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}

/**
 * Returns the flags of Node without which a thread or process finds no package under Yarn's Plug'n'Play; none
 * elsewhere. `importsModules` is for code that imports packages from ES modules, which takes a second file of Yarn's.
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
