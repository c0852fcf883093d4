import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ArtifactStats, Outputs, Runtime } from 'tbcoin-engine'
import { type TempFolder, tempFolder } from '../../models/synthetic/temp-folder.js'

/** The option `artifacts` that builds them for small models too. */
export const small = { minBytes: 0 }

export function formOf(runtime: Runtime, name: string): ArtifactStats | undefined {
  return runtime.models.getModel(name)?.stats().artifact
}

/** Returns the only entry of a cache: its folder and its files. */
export function onlyEntry(cacheDir: string): { readonly folder: string; readonly files: readonly string[] } {
  const entries = join(cacheDir, 'v1', 'entries')
  const names = readdirSync(entries)
  if (names.length !== 1) throw new Error(`the cache has ${names.length} entries`)
  const folder = join(entries, names[0] as string)
  return { folder, files: readdirSync(folder).sort() }
}

/** Returns the temporary folders of a cache. */
export function unfinished(cacheDir: string): string[] {
  return readdirSync(join(cacheDir, 'v1', 'tmp'))
}

export function flipByte(path: string, index: number): void {
  const bytes = readFileSync(path)
  bytes[index] = (bytes[index] as number) ^ 0xff
  writeFileSync(path, bytes)
}

export function sizeOf(path: string): number {
  return statSync(path).size
}

export function valuesOf(outputs: Outputs): unknown {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [name, [dims, [...data]]]),
  )
}

export { type TempFolder, tempFolder }
