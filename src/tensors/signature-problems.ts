import { formatSpec, quote } from './describe.js'
import type { Signature, TensorSpec } from './tensor.js'

/**
 * Returns the reasons why callers of a model with signature `from` could not continue with `to`; empty if
 * they could. Only names and types are compared: shapes may differ between versions and are checked for each
 * request.
 */
export function signatureProblems(from: Signature, to: Signature): string[] {
  const problems: string[] = []
  compare('input', from.inputs, to.inputs, problems)
  const earlier = new Set(from.inputs.map((spec) => spec.name))
  for (const spec of to.inputs) {
    if (!earlier.has(spec.name)) problems.push(`input ${quote(spec.name)} (${formatSpec(spec)}) is new`)
  }
  // Additional outputs are allowed, since they do not affect callers.
  compare('output', from.outputs, to.outputs, problems)
  return problems
}

function compare(
  kind: string,
  from: readonly TensorSpec[],
  to: readonly TensorSpec[],
  problems: string[],
): void {
  const byName = new Map(to.map((spec) => [spec.name, spec]))
  for (const { name, type } of from) {
    const other = byName.get(name)
    if (other === undefined) problems.push(`${kind} ${quote(name)} is missing`)
    else if (other.type !== type) {
      problems.push(`${kind} ${quote(name)} changes from ${type} to ${other.type}`)
    }
  }
}
