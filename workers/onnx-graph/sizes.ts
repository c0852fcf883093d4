import type { Op } from './op.js'
import type { Size } from './trace.js'

const maxSizes = 64

/** Not what is in their input counts, only its shape. */
const fromShape: readonly string[] = ['Shape', 'Size']

/**
 * The elements of a small tensor of integers that is made from shapes, as exporters do in front of
 * a Reshape: `Concat(Gather(Shape(x), 0), [12, 64])` is ['batch', 12, 64].
 */
export function sizesOf(op: Op): readonly Size[] | undefined {
  if (op.node.domain !== '' || !Object.hasOwn(folds, op.type)) return undefined
  if (!fromShape.includes(op.type) && op.isDependent) return undefined
  const sizes = folds[op.type]?.(op)
  return sizes !== undefined && sizes.length <= maxSizes ? sizes : undefined
}

const folds: Readonly<Record<string, (op: Op) => readonly Size[] | undefined>> = {
  Shape: ofShape,
  Size: (op) => (op.first.sizes === undefined ? undefined : [op.first.sizes.length]),
  Cast: same,
  Identity: same,
  Squeeze: same,
  Unsqueeze: same,
  Reshape: same,
  Concat: (op) => {
    const parts = op.inputs.map((trace) => (trace?.rank === 1 ? trace.sizes : undefined))
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined
  },
  Gather: (op) => {
    const [data, indices] = [op.inputs[0]?.sizes, op.inputs[1]?.sizes]
    if (data === undefined || op.inputs[0]?.rank !== 1) return undefined
    return indices?.map((at) => (typeof at === 'number' ? data.at(at) : undefined))
  },
  Slice: (op) => {
    const one = (name: string, place: number, fallback: number): Size => {
      const numbers = op.numbers(name, place)
      return numbers === 'absent' ? fallback : numbers === 'unknown' ? undefined : numbers[0]
    }
    const start = one('starts', 1, 0)
    const end = one('ends', 2, 0)
    const isPlain = typeof start === 'number' && typeof end === 'number' && one('steps', 4, 1) === 1
    return isPlain && op.inputs[0]?.rank === 1 ? op.inputs[0].sizes?.slice(start, end) : undefined
  },
  ConstantOfShape: (op) => {
    const [length, ...others] = op.inputs[0]?.sizes ?? []
    if (typeof length !== 'number' || others.length > 0 || length > maxSizes) return undefined
    return Array.from({ length }, () => op.node.attributes.get('value')?.tensor?.values?.[0])
  },
  Mul: (op) =>
    paired(op, (a, b) => (a === 'batch' || b === 'batch' ? multiple(a, b) : calculated(a, b, '*'))),
  Add: (op) => paired(op, (a, b) => calculated(a, b, '+')),
  Sub: (op) => paired(op, (a, b) => calculated(a, b, '-')),
  Equal: (op) => paired(op, isEqual),
  Not: (op) => op.first.sizes?.map((size) => (typeof size === 'number' ? Number(size === 0) : undefined)),
  Where: (op) => {
    const lengths = op.inputs.map((trace) => trace?.sizes?.length ?? Number.NaN)
    const length = Math.max(...lengths)
    return Number.isNaN(length) ? undefined : Array.from({ length }, () => undefined)
  },
}

function same(op: Op): readonly Size[] | undefined {
  return op.inputs[0]?.sizes
}

/** 'batch' where the batch lies, if the rank is known: otherwise nobody knows how many elements there are. */
function ofShape(op: Op): readonly Size[] | undefined {
  const { axis, rank } = op.first
  if (op.first.sizes !== undefined && rank === 1) return [op.first.sizes.length]
  if (rank === undefined || rank > maxSizes) return undefined
  const sizes = Array.from({ length: rank }, (_, at): Size => (at === axis ? 'batch' : undefined))
  return sizes.slice(op.int('start') ?? 0, op.int('end'))
}

function paired(op: Op, combine: (a: Size, b: Size) => Size): readonly Size[] | undefined {
  const [a, b] = [op.inputs[0]?.sizes, op.inputs[1]?.sizes]
  const isList = op.inputs.every((trace) => trace?.rank === 0 || trace?.rank === 1)
  if (a === undefined || b === undefined || !isList) return undefined
  const length = Math.max(a.length, b.length)
  if (Math.min(a.length, b.length) !== 1 && a.length !== b.length) return undefined
  return Array.from({ length }, (_, at) => combine(a[a.length === 1 ? 0 : at], b[b.length === 1 ? 0 : at]))
}

/** A multiple of the number of rows stands for it: where it goes in a shape, the batch goes. */
function multiple(a: Size, b: Size): Size {
  return a === b ? undefined : 'batch'
}

function isEqual(a: Size, b: Size): Size {
  return typeof a === 'number' && typeof b === 'number' ? Number(a === b) : undefined
}

function calculated(a: Size, b: Size, sign: '*' | '+' | '-'): Size {
  if (typeof a !== 'number' || typeof b !== 'number') return undefined
  return sign === '*' ? a * b : sign === '+' ? a + b : a - b
}
