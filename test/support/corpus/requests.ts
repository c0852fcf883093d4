import type { DataType } from '../../../models/synthetic/onnx-builder.js'
import { newElements } from '../../../src/tensors/coerce-elements.js'
import { float16Bits, float16Value } from '../../../src/tensors/float16.js'
import type { Tensor } from '../../../src/tensors/tensor.js'
import type { CorpusInput } from './case.js'

/** Returns numbers in [0, 1), the same in every run. */
export type Random = () => number

export function randomFrom(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T

type Kind = (random: Random) => number

const plain: Kind = (random) => (random() * 2 - 1) * 3
/** The ways in which the values of one row differ from those of others. */
const kinds: readonly Kind[] = [
  plain,
  (random) => plain(random) * 1e30,
  (random) => plain(random) * 1e-30,
  (random) => plain(random) * 100,
  () => 0,
  () => -0,
  (random) => (random() < 0.3 ? Number.NaN : plain(random)),
  () => Number.NaN,
  (random) => (random() < 0.3 ? Number.POSITIVE_INFINITY : plain(random)),
  (random) => (random() < 0.3 ? Number.NEGATIVE_INFINITY : plain(random)),
  (random) =>
    pick(random, [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0,
      1e30,
      1e-30,
      plain(random),
    ]),
]

/** The least and the greatest integer of each type, limited to exact arithmetic in JavaScript. */
const limits: Partial<Record<DataType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 52), 2 ** 52],
}

function elementOf(type: DataType, below: number | undefined, kind: Kind, random: Random): unknown {
  if (below !== undefined) {
    const index = Math.floor(random() * below)
    return type === 'int64' ? BigInt(index) : index
  }
  if (type === 'string') return pick(random, ['', 'a', 'ä', 'long '.repeat(9)])
  if (type === 'bool') return random() < 0.5 ? 1 : 0
  if (type === 'float16') return float16Bits(kind(random))
  const range = limits[type]
  if (range === undefined) return kind(random)
  const whole = random() < 0.2 ? pick(random, range) : Math.max(range[0], Math.floor(plain(random) * 20))
  return type === 'int64' ? BigInt(whole) : whole
}

/**
 * Returns the inputs of one request with this many rows. Inputs that all rows share are the same in every
 * request.
 */
export function requestOf(
  inputs: readonly CorpusInput[],
  rows: number,
  random: Random,
  isPlain = false,
): Tensor[] {
  return inputs.map(({ type, dims, below }) => {
    const isShared = !dims.includes('batch')
    const own = isShared ? randomFrom(7) : random
    const kind = isShared || isPlain ? plain : pick(own, kinds)
    const sizes = dims.map((size) => (size === 'batch' ? rows : size))
    const length = sizes.reduce((all, size) => all * size, 1)
    const data = newElements(type, length)
    for (let at = 0; at < length; at++) data[at] = elementOf(type, below, kind, own) as never
    return { type, dims: sizes, data } as Tensor
  })
}

/** Describes the first difference between outputs; returns undefined if there is none. */
export function whatDiffers(expected: readonly Tensor[], actual: readonly Tensor[]): string | undefined {
  for (const [at, want] of expected.entries()) {
    const got = actual[at] as Tensor
    if (want.dims.join() !== got.dims.join()) return `output ${at} has dims [${got.dims}], not [${want.dims}]`
    const elementAt = ({ type, data }: Tensor, index: number): unknown =>
      type === 'float16' ? float16Value(data[index] as number) : data[index]
    const isFloat = want.type.startsWith('float')
    for (let index = 0; index < want.data.length; index++) {
      const [a, b] = [elementAt(want, index), elementAt(got, index)]
      if (a === b || (isFloat && isClose(Number(a), Number(b)))) continue
      return `output ${at} is ${b} at ${index}, not ${a}`
    }
  }
  return undefined
}

function isClose(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b)
  return Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= 1e-6 + 1e-4 * Math.abs(a)
}
