import { fileURLToPath } from 'node:url'

const IS_SOURCE = import.meta.url.endsWith('.ts')

export const ENTRY_EXEC_ARGV: readonly string[] = IS_SOURCE ? ['--import', 'tsx'] : []

/** The entry of a thread or process lies beside this build: compiled, or source under a TypeScript loader. */
export function entryOf(names: { readonly compiled: string; readonly source: string }): string {
  return fileURLToPath(new URL(`../../workers/${IS_SOURCE ? names.source : names.compiled}`, import.meta.url))
}

export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : entry
}

/** Without NODE_OPTIONS: what a host preloads (an APM agent, say) is not for every thread and process of ours. */
export function environment(): Record<string, string | undefined> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}
