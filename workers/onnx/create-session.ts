import { errors, isRuntimeError, messageOf } from '../../src/errors/errors.js'
import type { LoaderContext, SkippedProvider } from '../../src/protocol/loader.js'
import {
  type ProviderEntry,
  providerEntries,
  providerName,
  providersIn,
} from '../../src/protocol/providers.js'
import { loadFailureReason } from '../files/load-failure.js'
import { refuseSpecialFile } from '../files/regular-file.js'
import { loadablePath } from '../model-files/model-paths.js'
import type Ort from './onnxruntime.cjs'

/** Element types that onnxruntime-node refuses to load, by their numbers in ONNX. */
const REFUSED_TYPES: Readonly<Record<number, string>> = {
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  23: 'float4e2m1',
}

/** Providers whose libraries the package does not contain. */
const DOWNLOADED = ['cuda', 'tensorrt']
const DOWNLOAD =
  "its libraries come by onnxruntime-node's install script, which --ignore-scripts and ONNXRUNTIME_NODE_INSTALL=skip leave out: run `node node_modules/onnxruntime-node/script/install.js`; they need those of NVIDIA, CUDA and cuDNN"

export interface CreatedSession {
  readonly session: Ort.InferenceSession
  /** Names of the execution providers that it has, best first. */
  readonly providers: readonly string[]
  /** Those that were asked for and cannot be used. */
  readonly skipped: readonly SkippedProvider[]
}

/**
 * Creates a session with the execution providers that are asked for. onnxruntime gives up where one of
 * them fails, so that one is found and left out, until the others do or none is left.
 */
export async function createSession(ort: typeof Ort, context: LoaderContext): Promise<CreatedSession> {
  refuseSpecialFile(context.source)
  const asked = providerEntries(context.sessionOptions)
  if (asked === undefined) {
    try {
      const session = await create(ort, context, undefined)
      return { session, providers: providersIn(context.sessionOptions), skipped: [] }
    } catch (error) {
      if (isRuntimeError(error)) throw error
      throw loadError(context, [{ name: 'cpu', reason: reasonOf(error) }], error)
    }
  }
  const { known, skipped } = separated(ort, asked)
  let left = known
  let cause: unknown
  while (left.length > 0) {
    try {
      const session = await create(ort, context, left)
      return { session, providers: left.map(providerName), skipped }
    } catch (error) {
      if (isRuntimeError(error)) throw error
      const failure = await firstFailure(ort, context, left, error)
      cause = failure.error
      skipped.push(skippedFor(left[failure.index] as ProviderEntry, cause))
      left = left.filter((_, index) => index !== failure.index)
    }
  }
  throw loadError(context, skipped, cause)
}

/** Separates providers that this build of onnxruntime-node does not have: it would leave them out in silence. */
function separated(
  ort: typeof Ort,
  asked: readonly ProviderEntry[],
): { known: readonly ProviderEntry[]; skipped: SkippedProvider[] } {
  const names = ort.listSupportedBackends().map(({ name }) => name as string)
  const isKnown = (entry: ProviderEntry): boolean => names.includes(providerName(entry))
  const reason = `onnxruntime-node has no such provider here; it has ${names.join(', ')}`
  const skipped = asked
    .filter((entry) => !isKnown(entry))
    .map((entry) => ({ name: providerName(entry), reason }))
  return { known: asked.filter(isKnown), skipped }
}

/** Finds the provider that fails: the last of the shortest list that does. `error` is that of the whole list. */
async function firstFailure(
  ort: typeof Ort,
  context: LoaderContext,
  entries: readonly ProviderEntry[],
  error: unknown,
): Promise<{ index: number; error: unknown }> {
  for (let count = 1; count < entries.length; count += 1) {
    try {
      const session = await create(ort, context, entries.slice(0, count))
      await context.native(() => session.release())
    } catch (cause) {
      if (isRuntimeError(cause)) throw cause
      return { index: count - 1, error: cause }
    }
  }
  return { index: entries.length - 1, error }
}

/** @throws what onnxruntime says of it, or an error of this library where no provider is to blame. */
async function create(
  ort: typeof Ort,
  context: LoaderContext,
  executionProviders: readonly ProviderEntry[] | undefined,
): Promise<Ort.InferenceSession> {
  const { sessionOptions } = context
  const options =
    executionProviders === undefined ? sessionOptions : { ...sessionOptions, executionProviders }
  const path = loadablePath(context.source)
  try {
    return await context.native(() =>
      ort.InferenceSession.create(path, options as Ort.InferenceSession.SessionOptions),
    )
  } catch (cause) {
    const refused = /Unsupported data type: (\d+)/.exec(messageOf(cause))
    if (refused === null) throw cause
    const type = REFUSED_TYPES[Number(refused[1])] ?? `number ${refused[1]}`
    throw new errors.ERR_UNSUPPORTED_MODEL(
      `${context.source} has an input or output of element type ${type}; onnxruntime-node loads no such model, whether or not anybody asks for the output: remove it, or convert it, for example to float32`,
      { ...subjectOf(context), cause },
    )
  }
}

/** Without the place in onnxruntime's sources, which says nothing to a user. */
function reasonOf(error: unknown): string {
  return messageOf(error)
    .replace(/^\/onnxruntime_src\/.* was false\. /s, '')
    .trim()
}

function loadError(context: LoaderContext, failures: readonly SkippedProvider[], cause: unknown): Error {
  const reasons = new Set(failures.map(({ reason }) => reason))
  const [only = ''] = reasons
  // Of one reason for all the model is to blame, or nobody has asked for a provider.
  const problem =
    reasons.size === 1 && failures.some(({ name }) => name === 'cpu')
      ? `cannot be loaded: ${loadFailureReason(context.source, only)}`
      : `cannot be loaded by any of its execution providers: ${failures.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`
  return new errors.ERR_MODEL_LOAD(`${context.source} ${problem}`, { ...subjectOf(context), cause })
}

/** A provider that cannot be used, why, and what may be done about it. */
function skippedFor(entry: ProviderEntry, error: unknown): SkippedProvider {
  const name = providerName(entry)
  const reason = reasonOf(error)
  const isMissing = DOWNLOADED.includes(name) && reason.includes('load shared library')
  return { name, reason: isMissing ? `${reason} (${DOWNLOAD})` : reason }
}

function subjectOf({ model, version }: LoaderContext): { model: string; version: string } {
  return { model, version }
}
