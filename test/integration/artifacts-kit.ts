import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ArtifactStats, ModelInput, Outputs, Runtime } from 'tbcoin-engine'
import { modelPath } from '../../models/catalogue.js'
import { type TempFolder, tempFolder } from '../fixtures/temp-folder.js'

function waves(count: number, seed = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => 0.3 * Math.sin(index * 0.37 * seed))
}

function image(height: number, width: number): (seed: number) => ModelInput {
  return (seed) => ({
    x: { type: 'float32', dims: [1, 3, height, width], data: waves(3 * height * width, seed) },
  })
}

const silero = (seed: number): ModelInput => ({
  input: { type: 'float32', dims: [1, 576], data: waves(576, seed) },
  state: { type: 'float32', dims: [2, 1, 128], data: waves(256, seed) },
  sr: 16_000n,
})

const legacySilero = (seed: number): ModelInput => ({
  input: { type: 'float32', dims: [1, 1_536], data: waves(1_536, seed) },
  sr: 16_000n,
  h: { type: 'float32', dims: [2, 1, 64], data: waves(128, seed) },
  c: { type: 'float32', dims: [2, 1, 64], data: waves(128, seed) },
})

export interface CatalogueCase {
  readonly name: string
  readonly version: string
  readonly source: string
  /** That onnxruntime 1.30 can write and load. */
  readonly form: ArtifactStats['form']
  readonly input: (seed: number) => ModelInput
}

/** Every model of the catalogue, and an input for it. */
export const catalogueCases: readonly CatalogueCase[] = (
  [
    ['vad', '4', 'original', legacySilero],
    ['vad', '5', 'original', silero],
    ['vad', '6', 'original', silero],
    ['ocr-cls', '2', 'prepacked', image(48, 192)],
    // Prepacked it ends the process that loads it.
    ['ocr-rec', '4', 'external', image(48, 64)],
    ['ocr-det', '4', 'prepacked', image(96, 96)],
    ['detypify', '0.2.4', 'prepacked', (seed: number) => ({ 'input.1': waves(1_024, seed) })],
    ['detypify', '0.3.0', 'prepacked', (seed: number) => ({ x: waves(224 * 224, seed) })],
  ] as const
).map(([name, version, form, input]) => ({
  name,
  version,
  form,
  input,
  source: modelPath(name, version),
}))

/** How `artifacts` builds them of small models too. */
export const small = { minBytes: 0 }

export function formOf(runtime: Runtime, name: string): ArtifactStats | undefined {
  return runtime.models.getModel(name)?.stats().artifact
}

/** The only entry of a cache: its folder, and files. */
export function onlyEntry(cacheDir: string): { readonly folder: string; readonly files: readonly string[] } {
  const entries = join(cacheDir, 'v1', 'entries')
  const names = readdirSync(entries)
  if (names.length !== 1) throw new Error(`the cache has ${names.length} entries`)
  const folder = join(entries, names[0] as string)
  return { folder, files: readdirSync(folder).sort() }
}

/** What is under construction in a cache. */
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
