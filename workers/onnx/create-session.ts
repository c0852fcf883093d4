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

/** Names of element types that onnxruntime-node cannot load, by their numbers in ONNX. */
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
  "its libraries are downloaded by onnxruntime-node's install script, which --ignore-scripts and ONNXRUNTIME_NODE_INSTALL=skip disable: run `node node_modules/onnxruntime-node/script/install.js`; they need NVIDIA's CUDA and cuDNN"

export interface CreatedSession {
  readonly session: Ort.InferenceSession
  /** Names of the session's execution providers, best first. */
  readonly providers: readonly string[]
  /** Requested providers that cannot be used. */
  readonly skipped: readonly SkippedProvider[]
}

/**
 * Creates a session with the requested execution providers. onnxruntime fails if one of them does, so the
 * failing one is found and left out, until the session can be created or none is left.
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

/** Separates the providers that this build of onnxruntime-node does not have, since it would ignore them silently. */
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

/** Finds the provider that fails: the last one of the shortest list that fails. `error` is that of the whole list. */
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

/** Creates one session. @throws onnxruntime's error, or an error of this library if no provider is at fault */
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
      `${context.source} has an input or output of element type ${type}, with which onnxruntime-node loads no model; remove it, or convert it, for example to float32`,
      { ...subjectOf(context), cause },
    )
  }
}

/** Returns the message without the place in onnxruntime's sources, which does not help users. */
function reasonOf(error: unknown): string {
  return messageOf(error)
    .replace(/^\/onnxruntime_src\/.* was false\. /s, '')
    .trim()
}

function loadError(context: LoaderContext, failures: readonly SkippedProvider[], cause: unknown): Error {
  const reasons = new Set(failures.map(({ reason }) => reason))
  const [only = ''] = reasons
  // If all providers fail for one reason, the model is at fault, or no provider was requested.
  const problem =
    reasons.size === 1 && failures.some(({ name }) => name === 'cpu')
      ? `cannot be loaded: ${loadFailureReason(context.source, only)}`
      : `cannot be loaded by any of its execution providers: ${failures.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`
  return new errors.ERR_MODEL_LOAD(`${context.source} ${problem}`, { ...subjectOf(context), cause })
}

/** Returns a provider that cannot be used, with the reason and a remedy if one is known. */
function skippedFor(entry: ProviderEntry, error: unknown): SkippedProvider {
  const name = providerName(entry)
  const reason = reasonOf(error)
  const isMissing = DOWNLOADED.includes(name) && reason.includes('load shared library')
  return { name, reason: isMissing ? `${reason} (${DOWNLOAD})` : reason }
}

function subjectOf({ model, version }: LoaderContext): { model: string; version: string } {
  return { model, version }
}
