import type { Signature } from '../src/tensors/tensor.js'

/** Placeholder until the graph reader lands. */
export function hazardOf(
  _source: string,
  _signature: Signature,
  _axes: readonly number[],
): string | undefined {
  return undefined
}
