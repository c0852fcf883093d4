import type { LoadedModel } from '../../src/protocol/loader.js'
import { byName } from '../../src/tensors/by-name.js'
import { ARRAY_CLASSES } from '../../src/tensors/element-types.js'
import { type AxisSet, axisSetsOf, type EmptyAxes, isPartOf } from '../../src/tensors/input/empty-axes.js'
import type { Signature, Tensor, TensorSpec } from '../../src/tensors/tensor.js'

/** Sizes to try for free axes: that of the first free axis of each input, and that of its others. */
const FREE_SIZES = [
  [1, 1],
  [1, 16],
  [1, 64],
  [2, 64],
] as const
const MAX_ELEMENTS = 4 * 2 ** 20
/** Time after which no further sizes are tried. */
const ENOUGH_MS = 500
/** The bits of 1 as a float16. */
const FLOAT16_ONE = 0x3c00

/**
 * Runs a model on generated inputs. They may be invalid, so runs may fail; the purpose is to see if a run
 * crashes the process, as it does with some files that can be loaded.
 */
export async function tryRuns(model: LoadedModel): Promise<void> {
  await tryInputs(model, inputsOf(model.signature), performance.now() + ENOUGH_MS)
}

/**
 * Runs a model on inputs in which a set of axes has size 0, for each set that contains no fatal one. Calls
 * `begin` with the position of each set before trying it, since that may crash the process.
 */
export async function tryEmptyAxes(
  model: LoadedModel,
  fatal: readonly AxisSet[],
  begin: (set: number) => Promise<void>,
): Promise<EmptyAxes> {
  const endsAtMs = performance.now() + ENOUGH_MS
  const answered: AxisSet[] = []
  for (const [index, set] of axisSetsOf(model.signature).entries()) {
    if (fatal.some((fatalSet) => isPartOf(fatalSet, set))) continue
    if (performance.now() > endsAtMs) break
    await begin(index)
    if (await tryInputs(model, inputsOf(model.signature, set), endsAtMs)) answered.push(set)
  }
  return { fatal, answered }
}

/** Runs the model on each of `inputs`; resolves with true if a run returned outputs. */
async function tryInputs(
  { signature, run }: LoadedModel,
  inputs: Iterable<Tensor[]>,
  endsAtMs: number,
): Promise<boolean> {
  const names = signature.inputs.map(({ name }) => name)
  let isAnswered = false
  for (const tensors of inputs) {
    try {
      await run(byName(names, tensors), undefined)
      isAnswered = true
    } catch {
      // The input is not valid for the model.
    }
    if (performance.now() > endsAtMs) break
  }
  return isAnswered
}

/** Generates inputs of different sizes; the axes of `empty` have size 0 in all of them. */
function* inputsOf({ inputs }: Signature, empty: AxisSet = []): Generator<Tensor[]> {
  const tried = new Set<string>()
  for (const [first, others] of FREE_SIZES) {
    const dims = inputs.map((spec, input) =>
      dimsOf(spec, first, others).map((size, axis) => (empty.includes(`${input}.${axis}`) ? 0 : size)),
    )
    const sizes = dims.map((inputDims) => inputDims.reduce((product, size) => product * size, 1))
    if (tried.has(JSON.stringify(dims)) || sizes.some((size) => size > MAX_ELEMENTS)) continue
    tried.add(JSON.stringify(dims))
    yield inputs.map(({ type }, index) => ones(type, dims[index] as number[], sizes[index] as number))
  }
}

function dimsOf({ dims }: TensorSpec, first: number, others: number): number[] {
  const firstFree = dims.findIndex((dim) => typeof dim === 'string')
  return dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === firstFree ? first : others))
}

/** Returns a tensor of ones, since zeros would crash the process of any model that divides integers by an input. */
function ones(type: TensorSpec['type'], dims: readonly number[], size: number): Tensor {
  if (type === 'string') return { type, dims, data: new Array<string>(size).fill('a') }
  const data = new ARRAY_CLASSES[type](size)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(1n)
  else data.fill(type === 'float16' ? FLOAT16_ONE : 1)
  return { type, dims, data } as Tensor
}
