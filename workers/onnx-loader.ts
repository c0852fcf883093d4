import { errors } from '../src/errors.js'
import type { LoadedModel, LoaderContext } from '../src/protocol/loader.js'
import {
  type Feeds,
  type Outputs,
  type Signature,
  TENSOR_TYPES,
  type TensorSpec,
} from '../src/tensors/tensor.js'
import type Ort from './onnxruntime.cjs'
import { refuseSpecialFile } from './regular-file.js'

/** The built-in loader: an ONNX file becomes an onnxruntime-node session. */
export async function load(context: LoaderContext): Promise<LoadedModel> {
  const ort = await context.native(() => importOnnxRuntime(context))
  const session = await createSession(ort, context)
  const signature: Signature = {
    inputs: session.inputMetadata.map((value) => specOf(value, 'input', context)),
    outputs: session.outputMetadata.map((value) => specOf(value, 'output', context)),
  }
  return {
    signature,
    async run(feeds, wanted) {
      const results = await context.native(() => session.run(ortFeeds(feeds), wanted ?? session.outputNames))
      return fromOrt(results)
    },
    release: () => context.native(() => session.release()),
  }
}

/** Imported here and not at the top: opening the native library has to happen under the guard. */
async function importOnnxRuntime(context: LoaderContext): Promise<typeof Ort> {
  const subject = { model: context.model, version: context.version }
  try {
    const { default: ort } = await import('./onnxruntime.cjs')
    ort.env.logLevel = 'fatal'
    return ort
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
      const remedy = isMusl()
        ? 'onnxruntime has no build for musl (Alpine); use an image with glibc, such as node:20-slim'
        : 'install it beside tbcoin-engine: npm install onnxruntime-node'
      throw new errors.ERR_MODEL_LOAD(`onnxruntime-node cannot be found; ${remedy}`, { ...subject, cause })
    }
    const remedy = isMusl()
      ? 'it has no build for musl (Alpine); use an image with glibc, such as node:20-slim'
      : `check that it supports ${process.platform}-${process.arch} and that its native files are complete`
    throw new errors.ERR_MODEL_LOAD(`onnxruntime-node cannot be opened; ${remedy}`, { ...subject, cause })
  }
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  return report.header.glibcVersionRuntime === undefined
}

async function createSession(ort: typeof Ort, context: LoaderContext): Promise<Ort.InferenceSession> {
  try {
    refuseSpecialFile(context.source)
    return await context.native(() =>
      ort.InferenceSession.create(
        context.source,
        context.sessionOptions as Ort.InferenceSession.SessionOptions,
      ),
    )
  } catch (cause) {
    const subject = { model: context.model, version: context.version, cause }
    const reason = cause instanceof Error ? cause.message : String(cause)
    if (/Unsupported data type/i.test(reason)) {
      throw new errors.ERR_UNSUPPORTED_MODEL(
        `${context.source} has an input or output of an element type that onnxruntime-node cannot pass (${reason}); convert it, for example to float32`,
        subject,
      )
    }
    throw new errors.ERR_MODEL_LOAD(`${context.source} cannot be loaded: ${reason}`, subject)
  }
}

function specOf(
  value: Ort.InferenceSession.ValueMetadata,
  role: 'input' | 'output',
  context: LoaderContext,
): TensorSpec {
  const subject = { model: context.model, version: context.version }
  if (!value.isTensor) {
    throw new errors.ERR_UNSUPPORTED_MODEL(
      `${role} "${value.name}" is a sequence, map or optional value, which onnxruntime-node cannot pass; export the model with tensors only`,
      subject,
    )
  }
  const type = TENSOR_TYPES.find((known) => known === value.type)
  if (type === undefined) {
    throw new errors.ERR_UNSUPPORTED_MODEL(
      `${role} "${value.name}" has element type ${value.type}, which cannot be served; convert it, for example to int8`,
      subject,
    )
  }
  return { name: value.name, type, dims: [...value.shape] }
}

/** Plain objects, since ort.Tensor breaks float16 on Node 24 (microsoft/onnxruntime#32323) and checks again. */
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

/** float16 is Float16Array from Node 24 on and Uint16Array before: always give the bits. */
function bitsOf(value: Ort.Tensor): unknown {
  const data = value.data as ArrayBufferView | string[]
  if (value.type !== 'float16' || data instanceof Uint16Array || Array.isArray(data)) return data
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
}
