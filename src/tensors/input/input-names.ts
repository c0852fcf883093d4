import { nearestName } from '../../text/nearest-name.js'
import { describeValue, formatNames, formatSpecs, quote } from '../describe.js'
import { InputProblem, type SignatureExpectation } from './expectation.js'

/** Throws unless `input` is an object whose own enumerable keys are exactly the signature's inputs. */
export function checkInputNames(
  signature: SignatureExpectation,
  input: unknown,
): asserts input is Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input) || ArrayBuffer.isView(input)) {
    throw notAnInput(signature, input)
  }
  const keys = Object.keys(input)
  let isExact = keys.length === signature.inputs.length
  for (let index = 0; isExact && index < keys.length; index += 1) {
    isExact = signature.byName.has(keys[index] as string)
  }
  if (!isExact) throw wrongNames(signature, input, keys)
}

function notAnInput(signature: SignatureExpectation, input: unknown): InputProblem {
  const expected = formatSpecs(signature.inputs)
  return new InputProblem(
    `the input must be an object with ${expected}, by name; got ${describeValue(input)}`,
  )
}

function wrongNames(signature: SignatureExpectation, input: object, keys: readonly string[]): InputProblem {
  // The object names nothing, or is itself a tensor.
  if (keys.length === 0 || ('type' in input && 'dims' in input)) return notAnInput(signature, input)
  const present = new Set(keys)
  const missing = signature.inputs.map((spec) => spec.name).filter((name) => !present.has(name))
  const extra = keys.filter((key) => !signature.byName.has(key))
  const parts: string[] = []
  if (missing.length > 0) parts.push(`missing ${plural(missing)} ${formatNames(missing)}`)
  if (extra.length > 0) parts.push(`unknown ${plural(extra)} ${formatNames(extra)}${hint(extra, missing)}`)
  return new InputProblem(`${parts.join(', ')}; the model expects ${formatSpecs(signature.inputs)}`)
}

function plural(names: readonly string[]): string {
  return names.length === 1 ? 'input' : 'inputs'
}

/** Suggests the name that was meant, among the missing ones only, so that following the hint repairs the input. */
function hint(extra: readonly string[], missing: readonly string[]): string {
  for (const wrong of extra.slice(0, 4)) {
    const meant = nearestName(wrong, missing)
    if (meant !== undefined) return ` (did you mean ${quote(meant)} by ${quote(wrong)}?)`
  }
  return ''
}
