import { bigLoad } from '../../models/synthetic/graphs.js'
import { encoder, VOCABULARY } from './encoder.js'
import type { PlainInput } from './plain.js'

export const HEAVY_NAMES = ['matmul', 'encoder'] as const
export type HeavyName = (typeof HEAVY_NAMES)[number]

/** Model with large weights. */
export interface HeavyModel {
  readonly title: string
  readonly weightBytes: number
  model(): Uint8Array
  readonly input: PlainInput
}

const WIDTH = 1_024
const LENGTH = 32

export const HEAVY: Readonly<Record<HeavyName, HeavyModel>> = {
  matmul: {
    title: '200 MB of MatMul',
    weightBytes: 200 * 2 ** 20,
    model: () => bigLoad(200),
    input: {
      x: {
        type: 'float32',
        dims: [1, WIDTH],
        data: Float32Array.from({ length: WIDTH }, (_, index) => Math.sin(index)),
      },
    },
  },
  encoder: {
    title: '300 MB of an encoder like BERT',
    weightBytes: 287 * 2 ** 20,
    model: encoder,
    input: {
      x: {
        type: 'int64',
        dims: [1, LENGTH],
        data: BigInt64Array.from({ length: LENGTH }, (_, index) => BigInt((index * 7_919) % VOCABULARY)),
      },
    },
  },
}
