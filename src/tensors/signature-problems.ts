import { formatSpec, quote } from './describe.js'
import type { Signature, TensorSpec } from './tensor.js'

/**
 * Why a caller of a model with signature `from` could not go on with `to`, by names and types
 * only (shapes may differ between versions and are checked per request). Empty when it could.
 */
export function signatureProblems(from: Signature, to: Signature): string[] {
  const problems: string[] = []
  compare('input', from.inputs, to.inputs, problems)
  const known = new Set(from.inputs.map((spec) => spec.name))
  for (const spec of to.inputs) {
    if (!known.has(spec.name)) problems.push(`input ${quote(spec.name)} (${formatSpec(spec)}) is new`)
  }
  // Outputs only have to cover: a caller does not notice an additional one.
  compare('output', from.outputs, to.outputs, problems)
  return problems
}

function compare(
  what: string,
  from: readonly TensorSpec[],
  to: readonly TensorSpec[],
  problems: string[],
): void {
  const found = new Map(to.map((spec) => [spec.name, spec]))
  for (const { name, type } of from) {
    const other = found.get(name)
    if (other === undefined) problems.push(`${what} ${quote(name)} is missing`)
    else if (other.type !== type) {
      problems.push(`${what} ${quote(name)} changes from ${type} to ${other.type}`)
    }
  }
}
