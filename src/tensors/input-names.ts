import { describeValue, formatNames, formatSpecs, quote } from './describe.js'
import { InputProblem, type SignatureExpectation } from './expectation.js'

/** Refuses anything but an object whose own enumerable keys are exactly the signature's inputs. */
export function checkInputNames(
  signature: SignatureExpectation,
  input: unknown,
): asserts input is Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input) || ArrayBuffer.isView(input)) {
    throw notAnInput(signature, input)
  }
  const keys = Object.keys(input)
  let isExact = keys.length === signature.inputs.length
  for (let index = 0; isExact && index < keys.length; index++) {
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
  // Nothing given by name, or a tensor itself in place of an object that names it.
  if (keys.length === 0 || ('type' in input && 'dims' in input)) return notAnInput(signature, input)
  const given = new Set(keys)
  const missing = signature.inputs.map((spec) => spec.name).filter((name) => !given.has(name))
  const extra = keys.filter((key) => !signature.byName.has(key))
  const parts: string[] = []
  if (missing.length > 0) parts.push(`missing ${plural(missing)} ${formatNames(missing)}`)
  if (extra.length > 0) parts.push(`unknown ${plural(extra)} ${formatNames(extra)}${hint(extra, missing)}`)
  return new InputProblem(`${parts.join(', ')}; the model expects ${formatSpecs(signature.inputs)}`)
}

function plural(names: readonly string[]): string {
  return names.length === 1 ? 'input' : 'inputs'
}

const HINTED_LENGTH = 64

/** Only names that are still missing are offered, so a hint is always a complete repair. */
function hint(extra: readonly string[], missing: readonly string[]): string {
  for (const wrong of extra.slice(0, 4)) {
    const meant = missing.find((name) => isClose(wrong, name))
    if (meant !== undefined) return ` (did you mean ${quote(meant)} by ${quote(wrong)}?)`
  }
  return ''
}

/** At most two letters wrong, missing or added, and more right than wrong; case does not matter. */
function isClose(left: string, right: string): boolean {
  if (left.length > HINTED_LENGTH || Math.abs(left.length - right.length) > 2) return false
  const allowed = Math.min(2, Math.floor(Math.min(left.length, right.length) / 2))
  return editDistance(left.toLowerCase(), right.toLowerCase()) <= allowed
}

function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const substituted = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[right.length] as number
}
