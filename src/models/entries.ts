import { fileURLToPath } from 'node:url'

const IS_SOURCE = import.meta.url.endsWith('.ts')

/** Entries of threads and processes lie beside this build: compiled, or source under a TypeScript loader. */
export const ENTRY_TYPE: 'ts' | 'js' = IS_SOURCE ? 'ts' : 'js'
/** Of those that are bundled. */
export const BUNDLE_TYPE: 'ts' | 'cjs' = IS_SOURCE ? 'ts' : 'cjs'
export const ENTRY_EXEC_ARGV: readonly string[] = IS_SOURCE ? ['--import', 'tsx'] : []

export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : entry
}

/** Without NODE_OPTIONS: what a host preloads (an APM agent, say) is not for every thread and process of ours. */
export function environment(): Record<string, string | undefined> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}
