import { join } from 'node:path'
import type { Prepared } from '../artifacts/artifacts.js'
import { ARTIFACT_MODEL } from '../protocol/builder-messages.js'
import type { ArtifactSource } from '../protocol/messages.js'
import { artifactOptions } from '../protocol/session-options.js'
import type { ModelVersion } from './model-version.js'
import { warmUpFrom } from './sample.js'
import type { Serving } from './serving.js'
import { sessionOptionsOf } from './session-options.js'

/**
 * Before a version is loaded: has a file that is not known tried by another process, finds or builds
 * its artifact. Only for the built-in loader: what others read is not known.
 * @throws ERR_MODEL_LOAD, ERR_UNSUPPORTED_MODEL, ERR_WARMUP, ERR_RUNTIME_CLOSED
 */
export function prepareModel(serving: Serving, version: ModelVersion): Promise<Prepared> {
  const { config, artifacts, loaders } = serving
  const { spec, subject } = version
  const isBuiltIn = loaders.has(spec.modelType) && loaders.get(spec.modelType) === undefined
  const warmUp = warmUpFrom(spec.config.sample, subject)
  return artifacts.prepare({
    ...subject,
    source: spec.source,
    sessionOptions: sessionOptionsOf(serving, version),
    isProbed: isBuiltIn && (spec.config.probe ?? config.probe) === 'child',
    isBuilt: isBuiltIn && (spec.config.artifacts ?? config.artifacts) !== 'off',
    loadTimeoutMs: config.loadTimeoutMs,
    samples: warmUp === undefined ? undefined : (signature) => [warmUp.inputs(signature)],
  })
}

/** Does a load of replicas with malloc set for it. */
export function whileLoading<T>(
  serving: Serving,
  prepared: Prepared | undefined,
  load: () => Promise<T>,
): Promise<T> {
  return serving.reclaimer.whileLoading(prepared?.entry !== undefined, load)
}

/** What replicas load instead of the original. */
export function artifactOf(
  { entry }: Prepared,
  sessionOptions: Readonly<Record<string, unknown>>,
): ArtifactSource | undefined {
  if (entry === undefined) return undefined
  return { source: join(entry.folder, ARTIFACT_MODEL), sessionOptions: artifactOptions(sessionOptions) }
}
