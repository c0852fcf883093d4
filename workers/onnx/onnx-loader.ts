import { errors } from '../../src/errors/errors.js'
import type { LoadedModel, LoaderContext } from '../../src/protocol/loader.js'
import {
  type Feeds,
  type Outputs,
  type Signature,
  TENSOR_TYPES,
  type TensorSpec,
  type TensorType,
  type UnsupportedOutput,
} from '../../src/tensors/tensor.js'
import { createSession } from './create-session.js'
import type Ort from './onnxruntime.cjs'
import { openFailureReason } from './open-failure.js'

/** Loads an ONNX file into an onnxruntime-node session; this is the built-in loader. */
export async function load(context: LoaderContext): Promise<LoadedModel> {
  const ort = await context.native(() => importOnnxRuntime(context))
  const { session, providers, skipped } = await createSession(ort, context)
  const release = (): Promise<void> => context.native(() => session.release())
  try {
    const signature = signatureOf(session, context)
    const outputNames = signature.outputs.map(({ name }) => name)
    return {
      signature,
      providers,
      skipped,
      async run(feeds, wanted) {
        const results = await context.native(() => session.run(ortFeeds(feeds), wanted ?? outputNames))
        return fromOrt(results)
      },
      release,
    }
  } catch (error) {
    await release()
    throw error
  }
}

/** Imports onnxruntime-node. The import is dynamic, since opening the native library must happen under the guard. */
export async function importOnnxRuntime(
  context: Pick<LoaderContext, 'model' | 'version'>,
): Promise<typeof Ort> {
  try {
    const { default: ort } = await import('./onnxruntime.cjs')
    ort.env.logLevel = 'fatal'
    return ort
  } catch (cause) {
    const { model, version } = context
    throw new errors.ERR_MODEL_LOAD(openFailureReason(cause), { model, version, cause })
  }
}

/**
 * Returns the signature of a session.
 * @throws ERR_UNSUPPORTED_MODEL if an input, or every output, cannot be passed
 */
function signatureOf(session: Ort.InferenceSession, { model, version }: LoaderContext): Signature {
  const inputs = session.inputMetadata.map((value): TensorSpec => {
    const reason = unsupportedReason(value)
    if (reason === undefined) return specOf(value)
    throw new errors.ERR_UNSUPPORTED_MODEL(`input "${value.name}" ${reason}`, { model, version })
  })
  const outputs: TensorSpec[] = []
  const unsupported: UnsupportedOutput[] = []
  for (const value of session.outputMetadata) {
    const reason = unsupportedReason(value)
    if (reason === undefined) outputs.push(specOf(value))
    else unsupported.push({ name: value.name, reason })
  }
  if (unsupported.length === 0) return { inputs, outputs }
  if (outputs.length > 0) return { inputs, outputs, unsupported }
  const reasons = unsupported.map(({ name, reason }) => `output "${name}" ${reason}`).join('; ')
  throw new errors.ERR_UNSUPPORTED_MODEL(`no output can be passed: ${reasons}`, { model, version })
}

/** Returns the reason why a value cannot be passed; undefined if it can. */
function unsupportedReason(value: Ort.InferenceSession.ValueMetadata): string | undefined {
  if (!value.isTensor) {
    return 'is a sequence, map or optional value, which onnxruntime-node cannot pass; export the model with tensors only'
  }
  if (TENSOR_TYPES.some((type) => type === value.type)) return undefined
  return `has element type ${value.type}, which cannot be passed; convert it, for example to int8`
}

function specOf(value: Ort.InferenceSession.ValueMetadata): TensorSpec {
  const { name, type, shape } = value as Ort.InferenceSession.TensorValueMetadata
  return { name, type: type as TensorType, dims: [...shape] }
}

/**
 * Returns plain objects, since ort.Tensor breaks float16 on Node 24 (microsoft/onnxruntime#32323) and checks
 * again.
 */
function ortFeeds(feeds: Feeds): Ort.InferenceSession.FeedsType {
  const passed: Record<string, object> = {}
  for (const name of Object.keys(feeds)) passed[name] = { ...feeds[name], location: 'cpu' }
  return passed as unknown as Ort.InferenceSession.FeedsType
}

function fromOrt(results: Ort.InferenceSession.OnnxValueMapType): Outputs {
  const outputs: Record<string, unknown> = {}
  for (const name of Object.keys(results)) {
    const value = results[name] as Ort.Tensor
    outputs[name] = { type: value.type, dims: value.dims, data: bitsOf(value) }
  }
  return outputs as Outputs
}

/** Returns the data, for float16 as bits: it is a Float16Array from Node 24 on and a Uint16Array before. */
function bitsOf(value: Ort.Tensor): unknown {
  const data = value.data as ArrayBufferView | string[]
  if (value.type !== 'float16' || data instanceof Uint16Array || Array.isArray(data)) return data
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
}
