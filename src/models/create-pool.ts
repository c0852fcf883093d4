import type { Prepared } from '../artifacts/artifacts.js'
import { errors } from '../errors.js'
import type { BatchingMemory } from '../pools/batching.js'
import { VersionPool } from '../pools/version-pool.js'
import type { LoadDone } from '../protocol/messages.js'
import { providersIn, servingProvider, takesTurns } from '../protocol/providers.js'
import type { Logger } from '../telemetry/logger.js'
import { batchingOf } from './batching-settings.js'
import { checkContent, hasBuiltInLoader } from './check-source.js'
import type { ModelVersion } from './model-version.js'
import { artifactOf, whileLoading } from './prepare-model.js'
import { replicaCount } from './replica-count.js'
import { warmUpFrom } from './sample.js'
import type { Serving } from './serving.js'
import { sessionOptionsOf } from './session-options.js'

/** Makes the threads of one version, not started yet; they own `prepared` from now on. */
export function createPool(
  serving: Serving,
  version: ModelVersion,
  prepared: Prepared,
  onFailed: (cause: Error) => void,
): VersionPool {
  const { clock, config, logger } = serving
  const { spec, subject } = version
  const log = logger.child({ component: 'pool', ...subject })
  const sessionOptions = sessionOptionsOf(serving, version)
  const asked = providersIn(sessionOptions)
  const task = {
    kind: 'load' as const,
    loader: loaderOf(serving, version),
    source: spec.source,
    sessionOptions,
    artifact: artifactOf(prepared, sessionOptions),
    loaderOptions: spec.config.loaderOptions,
  }
  const noteProviders = providersListener(version, log)
  const createHost = serving.hosts({
    ...subject,
    importsModules: !hasBuiltInLoader(serving, version),
    takesTurns: takesTurns(asked),
    logLevel: () => serving.logLevel,
    onLog: ({ level, message, fields }) => log[level](fields, message),
  })
  return new VersionPool(
    {
      clock,
      outbox: serving.requests.outbox,
      ...subject,
      replicas: replicaCount(serving, version, asked),
      maxQueue: spec.config.maxQueue ?? config.maxQueue,
      stuckAfterMs: spec.config.stuckAfterMs ?? config.stuckAfterMs,
      loadTimeoutMs: config.loadTimeoutMs,
      crashBudget: config.crashBudget,
      crashWindowMs: config.crashWindowMs,
      restartBackoffMs: config.restartBackoffMs,
      maxRestartBackoffMs: config.maxRestartBackoffMs,
      maxPackMs: spec.config.maxPackMs ?? config.maxPackMs,
      maxPackBytes: spec.config.maxPackBytes ?? config.maxPackBytes,
      batching: batchingOf(serving, version, prepared),
    },
    {
      // Of each replica with what is known of the files by then.
      get task() {
        return { ...task, files: version.files }
      },
      onLoaded: (loaded) => {
        if (loaded.files !== undefined) checkContent(version, loaded.files)
        version.files = loaded.files
        noteProviders(loaded)
      },
      warmUp: warmUpFrom(spec.config.sample, subject, version.emptyAxes),
      inTurn: (load) => serving.loadLane.add(() => whileLoading(serving, prepared, load), prepared.bytes),
      dispose: () => serving.artifacts.release(prepared),
    },
    createHost,
    {
      replicaLost: (cause, restartInMs) => {
        log.warn({ err: cause, restartInMs }, 'a replica is gone')
        serving.emit('replicaExited', { ...subject, cause, restartInMs })
      },
      replicaStuck: (stuck) => {
        log.error({ ...stuck }, 'a run does not return; its replica is in quarantine')
        serving.emit('replicaStuck', stuck)
      },
      poolFailed: onFailed,
      batchingDecided: (refusal) => {
        if (refusal === undefined) log.info({}, 'requests can share runs')
        else log.info({ reason: refusal }, 'requests cannot share runs')
      },
      batchingFailed: (reason) => {
        log.error(
          { reason },
          'a batch was answered otherwise than its requests alone; requests share no runs any more',
        )
        serving.emit('batchingDisabled', { ...subject, reason })
      },
      unexpected: (err) => log.error({ err }, 'something has thrown that must not; the pool goes on'),
    },
    batchingMemory(serving, version),
  )
}

/**
 * Returns what earlier pools have found out about batching. What a custom loader reads is not known, so a
 * proof is true of one pool only; a refusal stays.
 */
function batchingMemory(serving: Serving, version: ModelVersion): BatchingMemory {
  const { batching } = version
  if (!hasBuiltInLoader(serving, version) && batching.proof?.state === 'proven') batching.proof = undefined
  return batching
}

/** Returns what notes which execution providers serve, and warns once of those that do not. */
function providersListener(version: ModelVersion, log: Logger): (loaded: LoadDone) => void {
  let isTold = false
  return ({ providers, skipped = [] }) => {
    version.providers = providers
    if (isTold || providers === undefined || skipped.length === 0) return
    isTold = true
    const names = skipped.map(({ name }) => name).join(', ')
    log.warn(
      { skipped },
      `execution providers that cannot be used: ${names}; ${servingProvider(providers)} serves`,
    )
  }
}

function loaderOf(serving: Serving, version: ModelVersion): string | undefined {
  const { modelType } = version.spec
  if (serving.loaders.has(modelType)) return serving.loaders.get(modelType)
  throw new errors.ERR_INVALID_OPTIONS(
    `there is no loader for model type ${JSON.stringify(modelType)}; known: ${[...serving.loaders.keys()].join(', ')}. Register one with registerModelLoader(type, module)`,
    version.subject,
  )
}
