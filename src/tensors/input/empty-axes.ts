import type { Signature, Tensor, TensorSpec } from '../tensor.js'

/** Axes of inputs, each as `<position of the input>.<axis>`. */
export type AxisSet = readonly string[]

/** Results of trial runs in which free axes have size 0. */
export interface EmptyAxes {
  /** Sets that crashed the process which tried them. */
  readonly fatal: readonly AxisSet[]
  /** Sets with which a run returned outputs. */
  readonly answered: readonly AxisSet[]
}

/** The value for a model that was not tried. */
export const NOTHING_TRIED: EmptyAxes = { fatal: [], answered: [] }

/** Maximum number of sets that are tried. */
const MAX_SETS = 32
/** Names that exporters use for the axis of the rows. */
const BATCH_NAME = /batch|^(n|b|bs)$/i

/**
 * Returns the sets of axes to try with size 0, small ones first: each free axis with those of the same name,
 * the axes of the rows together, these with each of the others, and all.
 */
export function axisSetsOf(signature: Signature): AxisSet[] {
  const batch = [...batchAxesOf(signature)]
  const named = new Map<string, string[]>()
  for (const [input, { dims }] of signature.inputs.entries()) {
    for (const [axis, dim] of dims.entries()) {
      if (typeof dim !== 'string') continue
      const key = keyOf(input, axis)
      const name = dim === '' ? key : `name ${dim}`
      named.set(name, [...(named.get(name) ?? []), key])
    }
  }
  const single = [...named.values()]
  const sets = [...single, batch, ...single.map((set) => [...batch, ...set]), single.flat()]
  const distinct = new Map(sets.map((set) => [...new Set(set)].sort()).map((set) => [set.join(), set]))
  return [...distinct.values()].filter((set) => set.length > 0).slice(0, MAX_SETS)
}

/** Returns true if every axis of `part` is in `whole`. */
export function isPartOf(part: AxisSet, whole: AxisSet): boolean {
  return part.every((key) => whole.includes(key))
}

/**
 * Returns the reason why a request must not run because some of its axes have size 0; undefined if it may
 * run. The reason completes a sentence that begins with the request. Axes of the rows need a trial that
 * returned outputs, since recurrent operators and others crash the process if there are no rows. Other axes
 * are only rejected if they crashed a trial, since the first step of a decoder has an empty past.
 */
export function emptyAxesProblem(
  signature: Signature,
  tensors: readonly Tensor[],
  { fatal, answered }: EmptyAxes,
): string | undefined {
  // Only a few requests have tensors without elements; all others return here.
  if (tensors.every(({ data }) => data.length > 0)) return undefined
  const empty = tensors.flatMap(({ dims }, input) =>
    [...dims.keys()].filter((axis) => dims[axis] === 0).map((axis) => keyOf(input, axis)),
  )
  const fatalSet = fatal.find((set) => isPartOf(set, empty))
  if (fatalSet !== undefined) {
    return `${describeAxes(signature, tensors, fatalSet)}, and a run of that kind crashed the process that tried it (probe); send at least one row, or skip the request`
  }
  const unsure = empty.filter((key) => isOfRows(signature, key))
  if (unsure.length === 0 || answered.some((set) => isSameSet(set, unsure))) return undefined
  return `${describeAxes(signature, tensors, unsure)}, and no run of that kind returned outputs before the model was served (probe), while some models crash the process then; send at least one row, or skip the request`
}

function isOfRows(signature: Signature, key: string): boolean {
  const [input] = key.split('.')
  // The axes of an input without a declared rank are unknown, so any of them may be that of the rows.
  return signature.inputs[Number(input)]?.dims.length === 0 || batchAxesOf(signature).has(key)
}

function isSameSet(left: AxisSet, right: AxisSet): boolean {
  return left.length === right.length && isPartOf(left, right)
}

/**
 * Returns the axes that are probably those of the rows: the first free axis of each input, unless an axis of
 * size 1 before it shows that there is one row, and all axes with the name of such an axis or of a batch.
 */
function batchAxesOf({ inputs }: Signature): Set<string> {
  const first = inputs.map(firstFreeAxis)
  const names = new Set(inputs.map(({ dims }, input) => dims[first[input] as number]))
  const keys = inputs.flatMap(({ dims }, input) =>
    [...dims.keys()]
      .filter((axis) => {
        const dim = dims[axis]
        if (typeof dim !== 'string') return false
        return axis === first[input] || (dim !== '' && (names.has(dim) || BATCH_NAME.test(dim)))
      })
      .map((axis) => keyOf(input, axis)),
  )
  return new Set(keys)
}

function firstFreeAxis({ dims }: TensorSpec): number | undefined {
  const axis = dims.findIndex((dim) => typeof dim === 'string')
  return axis === -1 || dims.slice(0, axis).includes(1) ? undefined : axis
}

function describeAxes(signature: Signature, tensors: readonly Tensor[], set: AxisSet): string {
  const parts = set.map((key) => {
    const [input, axis] = key.split('.').map(Number) as [number, number]
    return `input "${signature.inputs[input]?.name}" has size 0 along axis ${axis} of dims [${tensors[input]?.dims.join(', ')}]`
  })
  return parts.join(', ')
}

function keyOf(input: number, axis: number): string {
  return `${input}.${axis}`
}
