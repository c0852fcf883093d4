import { freshSize, MAX_VALUES, type Op, valuesOf } from './op.js'
import { isSameSize, known, numberOf, one, product, quotient, type Size } from './size.js'
import { sliceRange } from './slice-range.js'
import type { TensorTrace } from './trace.js'

/**
 * Returns the elements of a small tensor that is made from shapes, as exporters do in front of a Reshape:
 * `Concat(Gather(Shape(x), 0), [12, 64])` is the number of rows, 12 and 64. Returns undefined if an element
 * may depend on the number of rows in another way than by a factor.
 */
export function foldOf(op: Op): readonly Size[] | undefined {
  if (op.node.domain !== '' || !Object.hasOwn(folds, op.type)) return undefined
  if (op.type !== 'Shape' && op.type !== 'Size' && op.isDependent) return undefined
  const values = folds[op.type]?.(op)
  return values !== undefined && values.length <= MAX_VALUES ? values : undefined
}

const folds: Readonly<Record<string, (op: Op) => readonly Size[] | undefined>> = {
  Shape: (op) => {
    const end = op.int('end')
    return op.dims.slice(op.int('start') ?? 0, end)
  },
  Size: (op) => {
    const all = product(op.dims)
    return all === undefined ? undefined : [all]
  },
  Cast: (op) =>
    listed((op.first.values ?? [undefined]).map((value) => cast(value, op.first.type, op.int('to') ?? 0))),
  Identity: same,
  Squeeze: same,
  Unsqueeze: same,
  Reshape: same,
  Flatten: same,
  Concat: (op) => {
    const axis = op.axis(op.int('axis') ?? 1)
    if (axis > 0) return undefined
    const parts = op.present.map(valuesOf)
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined
  },
  Gather: (op) => {
    const indices = op.inputs[1]?.values?.map(numberOf)
    const axis = op.axis(op.int('axis') ?? 0)
    if (indices === undefined || axis > 0) return undefined
    return picked(op.first, [indices])
  },
  Slice: (op) => {
    const lists = sliceLists(op)
    return lists === undefined ? undefined : picked(op.first, lists)
  },
  Transpose: (op) => {
    const { values, dims } = op.first
    const sizes = dims.map(numberOf)
    const perm = op.ints('perm') ?? dims.map((_, at) => dims.length - 1 - at)
    if (values === undefined || sizes.some((size) => size === undefined)) return undefined
    const strides = sizes.map((_, at) =>
      sizes.slice(at + 1).reduce<number>((all, size) => all * (size ?? 0), 1),
    )
    let places = [0]
    for (const from of perm) {
      places = places.flatMap((place) =>
        Array.from({ length: sizes[from] ?? 0 }, (_, step) => place + step * (strides[from] ?? 0)),
      )
    }
    return listed(places.map((place) => values[place]))
  },
  ConstantOfShape: (op) => {
    const count = op.first.values === undefined ? undefined : numberOf(product(op.first.values))
    if (count === undefined || count > MAX_VALUES) return undefined
    const value = op.node.attributes.get('value')?.tensor
    const [element] = value === undefined ? [0] : (value.values ?? [])
    return element === undefined ? undefined : Array.from({ length: count }, () => known(element))
  },
  Range: (op) => {
    const [start, limit, delta] = op.inputs.map((trace) => numberOf(trace?.values?.[0]))
    if (start === undefined || limit === undefined || delta === undefined || delta === 0) return undefined
    const length = Math.max(0, Math.ceil((limit - start) / delta))
    return length > MAX_VALUES ? undefined : Array.from({ length }, (_, at) => known(start + at * delta))
  },
  Expand: (op) => {
    const count = op.inputs[1]?.values === undefined ? undefined : numberOf(product(op.inputs[1].values))
    const [value] = op.first.values ?? []
    const isOne = op.first.values?.length === 1 && count !== undefined && count <= MAX_VALUES
    return isOne && value !== undefined ? Array.from({ length: count }, () => value) : undefined
  },
  ReduceProd: (op) => {
    if (op.rank !== 1 || op.first.values === undefined || op.flag('noop_with_empty_axes')) return undefined
    const all = product(op.first.values)
    return all === undefined ? undefined : [all]
  },
  Mul: (op) => paired(op, (a, b) => product([a, b])),
  Div: (op) =>
    paired(op, (a, b) => {
      const [over, under] = [numberOf(a), numberOf(b)]
      if (under === 0) return undefined
      if (over === undefined || under === undefined) return quotient(a, b)
      return op.first.type === 6 || op.first.type === 7 ? known(Math.trunc(over / under)) : quotient(a, b)
    }),
  Add: (op) => paired(op, (a, b) => (isZero(a) ? b : isZero(b) ? a : calculated(a, b, (x, y) => x + y))),
  Sub: (op) => paired(op, (a, b) => (isZero(b) ? a : calculated(a, b, (x, y) => x - y))),
  Max: (op) => paired(op, (a, b) => (isSameSize(a, b) ? a : calculated(a, b, Math.max))),
  Min: (op) => paired(op, (a, b) => (isSameSize(a, b) ? a : calculated(a, b, Math.min))),
  Equal: (op) => paired(op, isEqual),
  Greater: (op) => paired(op, (a, b) => calculated(a, b, (x, y) => Number(x > y))),
  Less: (op) => paired(op, (a, b) => calculated(a, b, (x, y) => Number(x < y))),
  And: (op) => paired(op, (a, b) => calculated(a, b, (x, y) => Number(x !== 0 && y !== 0))),
  Or: (op) => paired(op, (a, b) => calculated(a, b, (x, y) => Number(x !== 0 || y !== 0))),
  Not: (op) =>
    listed(
      (op.first.values ?? [undefined]).map((value) => {
        const number = numberOf(value)
        return number === undefined
          ? value && !value.rows
            ? freshSize()
            : undefined
          : known(Number(number === 0))
      }),
    ),
  Where: (op) => {
    const [conditions, yes, no] = op.inputs.map((trace) => trace?.values)
    if (conditions === undefined || yes === undefined || no === undefined) return undefined
    if (op.present.some((trace) => trace.dims.length > 1)) return undefined
    const length = Math.max(conditions.length, yes.length, no.length)
    const at = (values: readonly Size[], place: number): Size =>
      values[values.length === 1 ? 0 : place] ?? one
    return listed(
      Array.from({ length }, (_, place) => {
        const condition = numberOf(at(conditions, place))
        const [a, b] = [at(yes, place), at(no, place)]
        if (condition !== undefined) return condition !== 0 ? a : b
        return isSameSize(a, b) ? a : a.rows || b.rows ? undefined : freshSize()
      }),
    )
  },
}

const types = { bool: 9, integers: [6, 7, 12, 13], floats: [1, 11] } as const

/** Returns a value cast to a type; undefined if it would no longer be a multiple of the number of rows. */
function cast(value: Size | undefined, from: number | undefined, to: number): Size | undefined {
  const number = numberOf(value)
  const isInteger = (type: number | undefined): boolean => types.integers.some((integer) => integer === type)
  if (value === undefined) return undefined
  if (number !== undefined) {
    if (to === types.bool) return known(Number(number !== 0))
    if (isInteger(to)) return known(Math.trunc(number))
    const isExact =
      types.floats.some((float) => float === to) || (number >= 0 && number < 128 && Number.isInteger(number))
    return isExact ? value : freshSize()
  }
  if (to === types.bool && isPositive(value)) return one
  // A size with a name may have been a fraction, of which an integer keeps a part.
  const isWhole = isInteger(from) || value.names.length === 0
  if (types.floats.some((float) => float === to) || (isInteger(to) && isWhole)) return value
  return value.rows ? undefined : freshSize()
}

function same(op: Op): readonly Size[] | undefined {
  return op.first.values
}

function isZero(size: Size): boolean {
  return numberOf(size) === 0
}

/** Returns the values; undefined if one of them is. */
function listed(values: readonly (Size | undefined)[]): readonly Size[] | undefined {
  return values.every((value) => value !== undefined) ? values : undefined
}

/** Returns the elements at these places, along the first axis or along each axis. */
function picked(
  { values, dims }: TensorTrace,
  lists: readonly (readonly (number | undefined)[])[],
): readonly Size[] | undefined {
  const sizes = dims.map(numberOf)
  if (values === undefined || sizes.some((size) => size === undefined) || dims.length === 0) return undefined
  let places: (number | undefined)[] = [0]
  for (const [axis, size] of sizes.entries()) {
    const list = lists[axis] ?? Array.from({ length: size ?? 0 }, (_, at) => at)
    places = places.flatMap((place) =>
      list.map((at) => {
        if (place === undefined || at === undefined) return undefined
        return place * (size ?? 0) + (at < 0 ? at + (size ?? 0) : at)
      }),
    )
  }
  const elements = places.map((place) => (place === undefined ? freshSize() : values[place]))
  const isOpen = places.includes(undefined) && values.some((value) => value.rows)
  return isOpen ? undefined : listed(elements)
}

/** Returns, for each axis of a small tensor, the places that a Slice takes. */
function sliceLists(op: Op): number[][] | undefined {
  const sizes = op.dims.map(numberOf)
  const [starts, ends] = [op.numbers('starts', 1), op.numbers('ends', 2)]
  const axes = op.axes('axes', 3)
  const steps = op.numbers('steps', 4)
  if (typeof starts === 'string' || typeof ends === 'string' || axes === 'unknown' || steps === 'unknown') {
    return undefined
  }
  const lists = sizes.map((size) => Array.from({ length: size ?? 0 }, (_, at) => at))
  for (const [at, axis] of (axes === 'absent' ? starts.map((_, index) => index) : axes).entries()) {
    const size = sizes[axis]
    const [start, end] = [numberOf(starts[at]), numberOf(ends[at])]
    const step = steps === 'absent' ? 1 : numberOf(steps[at])
    if (size === undefined || start === undefined || end === undefined || !step) return undefined
    const [from, length] = sliceRange(size, start, end, step)
    lists[axis] = Array.from({ length }, (_, index) => from + index * step)
  }
  return lists
}

/** Combines the elements of two lists, or of one and a single number. */
function paired(op: Op, combine: (a: Size, b: Size) => Size | undefined): readonly Size[] | undefined {
  const [a, b] = [op.inputs[0]?.values, op.inputs[1]?.values]
  if (a === undefined || b === undefined || op.inputs.length !== 2) return undefined
  if (op.present.some((trace) => trace.dims.length > 1)) return undefined
  if (Math.min(a.length, b.length) !== 1 && a.length !== b.length) return undefined
  return listed(
    Array.from({ length: Math.max(a.length, b.length) }, (_, at) => {
      const [left, right] = [a[a.length === 1 ? 0 : at], b[b.length === 1 ? 0 : at]]
      if (left === undefined || right === undefined) return undefined
      return combine(left, right) ?? (left.rows || right.rows ? undefined : freshSize())
    }),
  )
}

/** Returns true for a positive multiple of the number of rows, which is at least 1. */
function isPositive(size: Size): boolean {
  return size.rows && size.names.length === 0 && size.times > 0
}

function isEqual(a: Size, b: Size): Size | undefined {
  if (isSameSize(a, b)) return one
  const isBelow = (size: Size, other: Size): boolean => isPositive(size) && (numberOf(other) ?? 1) <= 0
  return isBelow(a, b) || isBelow(b, a) ? known(0) : calculated(a, b, (x, y) => Number(x === y))
}

function calculated(a: Size, b: Size, combine: (a: number, b: number) => number): Size | undefined {
  const [x, y] = [numberOf(a), numberOf(b)]
  return x === undefined || y === undefined ? undefined : known(combine(x, y))
}
