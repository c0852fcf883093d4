import { fileURLToPath } from 'node:url'

export function filePathOf(entry: string | URL): string {
  return entry instanceof URL || entry.startsWith('file:') ? fileURLToPath(entry) : entry
}

/** Without NODE_OPTIONS: what a host preloads (an APM agent, say) is not for every thread and process of ours. */
export function environment(): Record<string, string | undefined> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}
