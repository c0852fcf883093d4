import { errors, messageOf } from '../../errors/errors.js'
import { byName } from '../by-name.js'
import { describeValue } from '../describe.js'
import type { Feeds, Signature, Tensor, TensorData } from '../tensor.js'
import { type AnyTypedArray, asElements, lengthOf, typedArrayName } from '../typed-arrays.js'
import { refuseUnusable, wrongClass } from './array-problems.js'
import { type Expectation, expectationOf, InputProblem, mismatch } from './expectation.js'
import { fromExplicitTensor } from './explicit-tensor.js'
import { inferDims, refuseAmbiguous, settleByNames } from './infer-dims.js'
import { checkInputNames } from './input-names.js'
import { fromNestedArrays, fromScalar } from './nested-arrays.js'

/**
 * Converts the input of a request into tensors that fit the signature exactly, one for each of its inputs, in
 * its order. `input` maps the name of every input to one of:
 *
 * - `{ type, dims, data }`, ours or an onnxruntime Tensor: type, rank and fixed dims must agree,
 *   dims multiply to `data.length`. A scalar input also takes one element of any rank.
 * - a typed array of the class that holds the type, without a shape: fixed dims are taken from the
 *   signature; one free dim follows from the length. Of several free dims, those whose name another input
 *   of the request has take its size, a leading one is 1 (a bare array is one unbatched item) and the
 *   remaining one takes the rest. An array with more open dims is rejected; pass `{ type, dims, data }`.
 * - nested arrays of numbers, bigints, booleans or strings; innermost rows may be typed arrays.
 * - one number, bigint, boolean or string, if the input has no dims, or only dims that are 1 or free.
 *
 * Typed arrays are used as they are, never copied or converted: float32 takes a Float32Array and
 * nothing else, float16 a Uint16Array of bits (or a native Float16Array, viewed as one), bool a
 * Uint8Array whose values are not checked to be 0 or 1, uint8 also a Buffer or Uint8ClampedArray.
 * JavaScript values are converted with checks: integers must be whole and in range, floats round.
 *
 * @throws ERR_INVALID_INPUT with the name of the input, what it expects and what was passed.
 */
export function prepareInputs(
  signature: Signature,
  input: unknown,
  subject: { model: string; version: string },
): Tensor[] {
  let reading: Expectation | undefined
  try {
    const expectation = expectationOf(signature)
    checkInputNames(expectation, input)
    const tensors: Tensor[] = []
    let unsure: Expectation[] | undefined
    for (const expected of expectation.inputs) {
      reading = expected
      const value = input[expected.name]
      tensors.push(prepareInput(expected, value))
      if (expected.hasSharedName && ArrayBuffer.isView(value)) {
        unsure ??= []
        unsure.push(expected)
      }
    }
    if (unsure !== undefined) settleByNames(expectation, tensors, unsure)
    return tensors
  } catch (error) {
    throw invalidInput(error, reading, subject)
  }
}

/** Returns the tensors of `prepareInputs` by the names of the inputs. */
export function prepareFeeds(
  signature: Signature,
  input: unknown,
  subject: { model: string; version: string },
): Feeds {
  const names = signature.inputs.map((spec) => spec.name)
  return byName(names, prepareInputs(signature, input, subject))
}

function prepareInput(expected: Expectation, value: unknown): Tensor {
  if (typeof value === 'object' && value !== null) {
    const name = typedArrayName(value)
    if (name !== undefined) return fromTypedArray(expected, name, value as AnyTypedArray)
    return Array.isArray(value) ? fromNestedArrays(expected, value) : fromExplicitTensor(expected, value)
  }
  switch (typeof value) {
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'string':
      return fromScalar(expected, value)
    default:
      throw mismatch(expected, describeValue(value))
  }
}

function fromTypedArray(expected: Expectation, name: string, array: AnyTypedArray): Tensor {
  const data = asElements(expected.type, expected.element, name, array)
  if (data === undefined) throw wrongClass(expected, array)
  const length = lengthOf(data)
  if (length === 0) refuseUnusable(expected, data)
  const dims = inferDims(expected, length)
  if (dims === undefined) {
    const multiple = expected.freeDims > 0 ? 'a multiple of ' : ''
    throw mismatch(expected, describeValue(array), `${multiple}${expected.fixedCount} elements are needed`)
  }
  const isAmbiguous =
    expected.openAxes.length > 1 && !expected.hasSharedName && data.length !== expected.fixedCount
  if (isAmbiguous) refuseAmbiguous(expected, data as TensorData, expected.openAxes)
  return { type: expected.type, dims, data: data as TensorData }
}

/**
 * Converts any error thrown while the input is read (by a getter, a revoked proxy, a disposed tensor) into
 * ERR_INVALID_INPUT.
 */
function invalidInput(
  error: unknown,
  reading: Expectation | undefined,
  { model, version }: { model: string; version: string },
): Error {
  if (isProblem(error)) return new errors.ERR_INVALID_INPUT(error.message, { model, version })
  const which = reading === undefined ? 'the input' : mismatch(reading, 'a value that cannot be read').message
  return new errors.ERR_INVALID_INPUT(`${which}: ${messageOf(error)}`, { model, version, cause: error })
}

/** Returns true for an InputProblem. A thrown value may be a proxy that throws when its prototype is read. */
function isProblem(error: unknown): error is InputProblem {
  try {
    return error instanceof InputProblem
  } catch {
    return false
  }
}
