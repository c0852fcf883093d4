import { join } from 'node:path'
import type { Prepared, PrepareOrder } from '../../artifacts/artifacts.js'
import { artifactOptions } from '../../protocol/artifact-options.js'
import { ARTIFACT_MODEL } from '../../protocol/builder/builder-messages.js'
import type { ArtifactSource } from '../../protocol/replica/replica-task.js'
import { NOTHING_TRIED } from '../../tensors/input/empty-axes.js'
import { assertOpen, type ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { checkContent, checkSource, hasBuiltInLoader } from './check-source.js'
import { checkReplicas } from './replica-count.js'
import { sessionOptionsOf } from './session-options.js'
import { warmUpFrom } from './warm-up.js'

/**
 * Checks the settings and the source of a version before its load, and prepares its files.
 * @throws ERR_INVALID_OPTIONS, ERR_RUNTIME_CLOSED, ERR_MODEL_LOAD, ERR_UNSUPPORTED_MODEL, ERR_WARMUP
 */
export async function prepareLoad(context: ModelContext, version: VersionRecord): Promise<Prepared> {
  checkReplicas(context, version)
  await checkSource(context, version)
  assertOpen(context)
  const prepared = await prepareModel(context, version)
  const isBuiltIn = hasBuiltInLoader(context, version)
  version.note({ emptyAxes: isBuiltIn ? (prepared.emptyAxes ?? NOTHING_TRIED) : undefined })
  return prepared
}

/**
 * Probes an unknown file in another process, and finds or builds its artifact. A version with a custom loader skips
 * both, since the files that such a loader reads are not known.
 * @throws ERR_MODEL_LOAD, ERR_UNSUPPORTED_MODEL, ERR_WARMUP, ERR_RUNTIME_CLOSED
 */
async function prepareModel(context: ModelContext, version: VersionRecord): Promise<Prepared> {
  const { config, artifacts, allocator, shortfalls } = context
  const { spec, subject } = version
  const isBuiltIn = hasBuiltInLoader(context, version)
  const warmUp = warmUpFrom(spec.config.sample, subject)
  const order: PrepareOrder = {
    ...subject,
    source: spec.source,
    sessionOptions: sessionOptionsOf(context, version),
    isProbed: isBuiltIn && (spec.config.probe ?? config.probe) === 'child',
    isBuilt: isBuiltIn && (spec.config.artifacts ?? config.artifacts) !== 'off',
    loadTimeoutMs: config.loadTimeoutMs,
    check: (files) => checkContent(version, files),
    samples: warmUp === undefined ? undefined : (signature) => [warmUp.inputs(signature)],
  }
  allocator.noteShortfall(shortfalls)
  const prepared = await artifacts.prepare(order).finally(() => shortfalls.report())
  // The hashes are the same as before, but the stamps may be newer.
  if (prepared.files !== undefined) version.note({ files: prepared.files })
  return prepared
}

/** Runs the load of a replica with malloc tuned for it. */
export function whileLoading<T>(
  context: ModelContext,
  { entry }: Prepared,
  load: () => Promise<T>,
): Promise<T> {
  return context.allocator.whileLoading(entry !== undefined, load)
}

/** Runs `load` in the lane that limits the number of concurrent loads. */
export function inLoadLane<T>(
  { hold, loadLane }: ModelContext,
  { bytes }: Prepared,
  load: () => Promise<T>,
): Promise<T> {
  return hold('load', (held: () => Promise<T>) => loadLane.add(held, bytes), load)
}

/** Returns the artifact that replicas load instead of the original file; undefined if there is none. */
export function artifactOf(
  { entry, entryFiles = [] }: Prepared,
  sessionOptions: Readonly<Record<string, unknown>>,
): ArtifactSource | undefined {
  if (entry === undefined) return undefined
  const files = entryFiles.map((file) => (file.name === ARTIFACT_MODEL ? { ...file, name: '' } : file))
  const source = join(entry.folder, ARTIFACT_MODEL)
  return { source, sessionOptions: artifactOptions(sessionOptions), files }
}
