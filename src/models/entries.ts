import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Absolute: Piscina would look for others beside its own files. */
export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : resolve(entry)
}

/** Without NODE_OPTIONS: what a host preloads (an APM agent, say) is not for every thread and process of ours. */
export function environment(): Record<string, string | undefined> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}
