import { errors } from '../../src/errors/errors.js'
import { prepareFeeds } from '../../src/tensors/input/prepare-inputs.js'
import type { Feeds, Signature, Tensor, TensorSpec, TensorType } from '../../src/tensors/tensor.js'

export const SUBJECT = { model: 'vad', version: '5' }

export function signatureOf(...inputs: TensorSpec[]): Signature {
  return { inputs, outputs: [] }
}

export function spec(name: string, type: TensorType, ...dims: (number | string)[]): TensorSpec {
  return { name, type, dims }
}

/** The signature of the voice activity detector of Silero, as onnxruntime-node reports it. */
export const SILERO = signatureOf(
  spec('input', 'float32', '', ''),
  spec('state', 'float32', 2, '', 128),
  spec('sr', 'int64'),
)

/** Prepares one input called x. */
export function prepare(expected: TensorSpec, value: unknown): Tensor {
  const feeds = prepareFeeds(signatureOf(expected), { [expected.name]: value }, SUBJECT)
  return feeds[expected.name] as Tensor
}

/** Returns the message of the refusal, which must be ERR_INVALID_INPUT of the subject. */
export function refusal(signature: Signature, input: unknown): string {
  let feeds: Feeds
  try {
    feeds = prepareFeeds(signature, input, SUBJECT)
  } catch (error) {
    if (!(error instanceof errors.ERR_INVALID_INPUT)) throw error
    if (error.model !== 'vad' || error.version !== '5') throw new Error('the error names no model')
    return error.message
  }
  throw new Error(`accepted: ${JSON.stringify(Object.keys(feeds))}`)
}

/** Returns the message of the refusal of one input called x. */
export function refusalOf(expected: TensorSpec, value: unknown): string {
  return refusal(signatureOf(expected), { [expected.name]: value })
}
