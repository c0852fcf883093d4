import { formatSpec, quote } from '../describe.js'
import { ELEMENT_TYPES, type ElementType } from '../element-types.js'
import type { Signature, TensorSpec } from '../tensor.js'

/** One input of a signature, with all facts about it that are the same for every request. */
export interface Expectation extends TensorSpec {
  readonly element: ElementType
  /** Product of the fixed dims. */
  readonly fixedCount: number
  readonly freeDims: number
  /** The free axes except axis 0, which is that of the batch. */
  readonly openAxes: readonly number[]
  /** Index of the last free dim; -1 if all are fixed. */
  readonly lastFree: number
  /** `dims` with 1 for each free one. */
  readonly singleDims: readonly number[]
  /** Slot of the name of each dim, below `SignatureExpectation.slots`; -1 for a fixed or unnamed one. */
  readonly nameSlots: readonly number[]
  /** True if several dims are free and another input has one of the same name, which may determine a size. */
  readonly hasSharedName: boolean
}

export interface SignatureExpectation {
  readonly inputs: readonly Expectation[]
  readonly byName: ReadonlyMap<string, Expectation>
  /** Number of distinct names of free dims. */
  readonly slots: number
}

const compiled = new WeakMap<Signature, SignatureExpectation>()

/** Compiles a signature once; it must not change afterwards. */
export function expectationOf(signature: Signature): SignatureExpectation {
  const earlier = compiled.get(signature)
  if (earlier !== undefined) return earlier
  const slotOf = new Map<string, number>()
  const users = new Map<string, number>()
  for (const spec of signature.inputs) {
    for (const name of new Set(spec.dims)) {
      if (typeof name !== 'string' || name === '') continue
      if (!slotOf.has(name)) slotOf.set(name, slotOf.size)
      users.set(name, (users.get(name) ?? 0) + 1)
    }
  }
  const inputs = signature.inputs.map((spec) => expectInput(spec, slotOf, users))
  const byName = new Map(inputs.map((expected) => [expected.name, expected]))
  const result = { inputs, byName, slots: slotOf.size }
  compiled.set(signature, result)
  return result
}

function expectInput(
  spec: TensorSpec,
  slotOf: ReadonlyMap<string, number>,
  users: ReadonlyMap<string, number>,
): Expectation {
  const isFree = (dim: number | string) => typeof dim === 'string'
  const singleDims = spec.dims.map((dim) => (typeof dim === 'string' ? 1 : dim))
  const freeDims = spec.dims.filter(isFree).length
  return {
    name: spec.name,
    type: spec.type,
    dims: spec.dims,
    element: ELEMENT_TYPES[spec.type],
    fixedCount: singleDims.reduce((product, dim) => product * dim, 1),
    freeDims,
    openAxes: [...spec.dims.keys()].filter((axis) => axis > 0 && isFree(spec.dims[axis] as number | string)),
    lastFree: spec.dims.findLastIndex(isFree),
    singleDims,
    nameSlots: spec.dims.map((dim) => (typeof dim === 'string' ? (slotOf.get(dim) ?? -1) : -1)),
    hasSharedName: freeDims > 1 && spec.dims.some((dim) => (users.get(String(dim)) ?? 0) > 1),
  }
}

/**
 * An input that does not fit the signature; `prepareInputs` converts it into ERR_INVALID_INPUT with the
 * model's name.
 */
export class InputProblem extends Error {}

/** Returns the problem of a single input; its message has the input's name, what it expects and what was passed. */
export function mismatch(expected: Expectation, got: string, advice = ''): InputProblem {
  const tail = advice === '' ? '' : `; ${advice}`
  return new InputProblem(`input ${quote(expected.name)} expects ${formatSpec(expected)}, got ${got}${tail}`)
}
