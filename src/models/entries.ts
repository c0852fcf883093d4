import { fileURLToPath } from 'node:url'

const IS_SOURCE = import.meta.url.endsWith('.ts')

/** Entries of threads and processes lie beside this build: compiled, or source under a TypeScript loader. */
export const ENTRY_TYPE: 'ts' | 'js' = IS_SOURCE ? 'ts' : 'js'
export const ENTRY_EXEC_ARGV: readonly string[] = IS_SOURCE ? ['--import', 'tsx'] : []

export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : entry
}
