import { join } from 'node:path'
import type { Prepared, PrepareOrder } from '../artifacts/artifacts.js'
import { ARTIFACT_MODEL } from '../protocol/builder-messages.js'
import type { ArtifactSource } from '../protocol/messages.js'
import { artifactOptions } from '../protocol/session-options.js'
import { checkContent, hasBuiltInLoader } from './check-source.js'
import type { ModelVersion } from './model-version.js'
import { warmUpFrom } from './sample.js'
import type { Serving } from './serving.js'
import { sessionOptionsOf } from './session-options.js'

/**
 * Before a version is loaded: has a file that is not known tried by another process, finds or builds
 * its artifact. Only for the built-in loader: what others read is not known.
 * @throws ERR_MODEL_LOAD, ERR_UNSUPPORTED_MODEL, ERR_WARMUP, ERR_RUNTIME_CLOSED
 */
export async function prepareModel(serving: Serving, version: ModelVersion): Promise<Prepared> {
  const { config, artifacts, allocator, shortfalls } = serving
  const { spec, subject } = version
  const isOurs = hasBuiltInLoader(serving, version)
  const warmUp = warmUpFrom(spec.config.sample, subject)
  const order: PrepareOrder = {
    ...subject,
    source: spec.source,
    sessionOptions: sessionOptionsOf(serving, version),
    isProbed: isOurs && (spec.config.probe ?? config.probe) === 'child',
    isBuilt: isOurs && (spec.config.artifacts ?? config.artifacts) !== 'off',
    loadTimeoutMs: config.loadTimeoutMs,
    check: (files) => checkContent(version, files),
    samples: warmUp === undefined ? undefined : (signature) => [warmUp.inputs(signature)],
  }
  allocator.noteShortfall(shortfalls)
  const prepared = await artifacts.prepare(order).finally(() => shortfalls.tell())
  // The content is the same; the stamps may be newer.
  version.files = prepared.files ?? version.files
  return prepared
}

/** Does a load of replicas with malloc set for it. */
export function whileLoading<T>(
  serving: Serving,
  prepared: Prepared | undefined,
  load: () => Promise<T>,
): Promise<T> {
  return serving.allocator.whileLoading(prepared?.entry !== undefined, load)
}

/** What replicas load instead of the original. */
export function artifactOf(
  { entry, entryFiles = [] }: Prepared,
  sessionOptions: Readonly<Record<string, unknown>>,
): ArtifactSource | undefined {
  if (entry === undefined) return undefined
  const files = entryFiles.map((file) => (file.name === ARTIFACT_MODEL ? { ...file, name: '' } : file))
  const source = join(entry.folder, ARTIFACT_MODEL)
  return { source, sessionOptions: artifactOptions(sessionOptions), files }
}
