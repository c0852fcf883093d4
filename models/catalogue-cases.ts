import type { ArtifactStats, ModelInput } from 'tbcoin-engine'
import { modelPath } from './catalogue.js'

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

/** Model of the catalogue with a valid input. */
export interface CatalogueCase {
  readonly name: string
  readonly version: string
  readonly source: string
  /** Possible forms of the artifact with onnxruntime 1.30: the first one that the machine can write, load and prove. */
  readonly forms: readonly ArtifactStats['form'][]
  /** Returns a valid input that depends on `seed`. */
  readonly input: (seed: number) => ModelInput
}

/** All models of the catalogue. */
export const catalogueCases: readonly CatalogueCase[] = (
  [
    ['vad', '4', ['original'], legacySilero],
    ['vad', '5', ['original'], silero],
    ['vad', '6', ['original'], silero],
    ['ocr-cls', '2', ['prepacked'], image(48, 192)],
    // On some processors the prepacked form crashes the process that loads it.
    ['ocr-rec', '4', ['prepacked', 'external'], image(48, 64)],
    ['ocr-det', '4', ['prepacked'], image(96, 96)],
    ['detypify', '0.2.4', ['prepacked'], (seed: number) => ({ 'input.1': waves(1_024, seed) })],
    ['detypify', '0.3.0', ['prepacked'], (seed: number) => ({ x: waves(224 * 224, seed) })],
  ] as const
).map(([name, version, forms, input]) => ({
  name,
  version,
  forms,
  input,
  source: modelPath(name, version),
}))
