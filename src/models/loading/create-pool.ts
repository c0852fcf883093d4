import type { Prepared } from '../../artifacts/artifacts.js'
import { errors } from '../../errors/errors.js'
import type { BatchingMemory } from '../../pools/batching/batching.js'
import { VersionPool } from '../../pools/version-pool.js'
import { providersIn, servingProvider, takesTurns } from '../../protocol/providers.js'
import type { LoadDone } from '../../protocol/replica/replica-replies.js'
import { modelSubject } from '../../telemetry/events/subject.js'
import { inBackground } from '../../telemetry/in-background.js'
import type { Logger } from '../../telemetry/logger.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { batchingSettings } from './batching-settings.js'
import { checkContent, hasBuiltInLoader } from './check-source.js'
import { artifactOf, inLoadLane, whileLoading } from './prepare-load.js'
import { replicaCount } from './replica-count.js'
import { sessionOptionsOf } from './session-options.js'
import { warmUpFrom } from './warm-up.js'

/**
 * Returns a new pool for a version, which is not started yet. The caller must end it in any case, which releases
 * `prepared`.
 * @param onFailed is called when replicas have exited more often than the crash budget allows.
 */
export function createPool(
  context: ModelContext,
  version: VersionRecord,
  prepared: Prepared,
  onFailed: (cause: Error) => void,
): VersionPool {
  try {
    return poolOf(context, version, prepared, onFailed)
  } catch (error) {
    inBackground(context, context.artifacts.release(prepared), 'artifact release')
    throw error
  }
}

function poolOf(
  context: ModelContext,
  version: VersionRecord,
  prepared: Prepared,
  onFailed: (cause: Error) => void,
): VersionPool {
  const { clock, ballast, config, logger } = context
  const { spec, subject } = version
  const log = logger.child({ component: 'pool', ...subject })
  const sessionOptions = sessionOptionsOf(context, version)
  const requestedProviders = providersIn(sessionOptions)
  const task = {
    kind: 'load' as const,
    loader: loaderOf(context, version),
    source: spec.source,
    sessionOptions,
    artifact: artifactOf(prepared, sessionOptions),
    loaderOptions: spec.config.loaderOptions,
  }
  const noteProviders = providersListener(version, log)
  const createHost = context.hosts({
    ...subject,
    importsModules: !hasBuiltInLoader(context, version),
    takesTurns: takesTurns(requestedProviders),
    logLevel: () => context.logLevel,
    onLog: ({ level, message, fields }) => log[level](fields, message),
  })
  return new VersionPool(
    {
      clock,
      ballast,
      outbox: context.requests.outbox,
      ...subject,
      replicas: replicaCount(context, version, requestedProviders),
      maxQueue: spec.config.maxQueue ?? config.maxQueue,
      stuckAfterMs: spec.config.stuckAfterMs ?? config.stuckAfterMs,
      loadTimeoutMs: config.loadTimeoutMs,
      crashBudget: config.crashBudget,
      crashWindowMs: config.crashWindowMs,
      restartBackoffMs: config.restartBackoffMs,
      maxRestartBackoffMs: config.maxRestartBackoffMs,
      maxPackMs: spec.config.maxPackMs ?? config.maxPackMs,
      maxPackBytes: spec.config.maxPackBytes ?? config.maxPackBytes,
      batching: batchingSettings(context, version, prepared),
    },
    {
      // Each replica gets the files that are known when it starts.
      get task() {
        return { ...task, files: version.facts.files }
      },
      onLoaded: (loaded) => {
        if (loaded.files !== undefined) checkContent(version, loaded.files)
        version.note({ files: loaded.files })
        noteProviders(loaded)
      },
      warmUp: warmUpFrom(spec.config.sample, subject, version.facts.emptyAxes),
      inTurn: (load) => inLoadLane(context, prepared, () => whileLoading(context, prepared, load)),
      dispose: () => context.artifacts.release(prepared),
    },
    createHost,
    {
      replicaLost: (cause, restartInMs) => {
        context.events.publish('replicaExited', { subject: modelSubject(subject), cause, restartInMs })
      },
      replicaStuck: ({ threadId, runningMs }) => {
        context.events.publish('replicaStuck', { subject: modelSubject(subject), threadId, runningMs })
      },
      poolFailed: onFailed,
      batchingDecided: (refusal) => {
        if (refusal === undefined) log.info({}, 'batching enabled')
        else log.info({ reason: refusal }, 'batching refused')
      },
      batchingFailed: (reason) => {
        context.events.publish('batchingDisabled', { subject: modelSubject(subject), reason })
      },
      unexpected: (err) => log.error({ err }, 'unexpected error in a pool'),
    },
    batchingMemory(context, version),
  )
}

/**
 * Returns the findings of earlier pools about batching. The files that a custom loader reads are not known, so a
 * proof holds for one pool only; a refusal is kept.
 */
function batchingMemory(context: ModelContext, version: VersionRecord): BatchingMemory {
  const { batching } = version
  if (!hasBuiltInLoader(context, version) && batching.proof?.state === 'proven') batching.proof = undefined
  return batching
}

/** Returns a listener that records the execution providers in use and warns once about those that were skipped. */
function providersListener(version: VersionRecord, log: Logger): (loaded: LoadDone) => void {
  let hasWarned = false
  return ({ providers, skipped = [] }) => {
    version.note({ providers })
    if (hasWarned || providers === undefined || skipped.length === 0) return
    hasWarned = true
    log.warn({ skipped, provider: servingProvider(providers) }, 'execution providers skipped')
  }
}

function loaderOf(context: ModelContext, version: VersionRecord): string | undefined {
  const { modelType } = version.spec
  if (context.loaders.has(modelType)) return context.loaders.get(modelType)
  throw new errors.ERR_INVALID_OPTIONS(
    `there is no loader for model type ${JSON.stringify(modelType)}; register one with registerModelLoader(type, module); known: ${[...context.loaders.keys()].join(', ')}`,
    version.subject,
  )
}
