import { errors } from '../../errors/errors.js'
import { isOnCpu, providersIn, servingProvider } from '../../protocol/providers.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { sessionOptionsOf } from './session-options.js'

/**
 * Returns the number of replicas for a pool of the version. `auto` means the cores divided by the threads of one run,
 * and one replica if `providers` contain another one than the CPU's.
 * @param providers defaults to the execution providers of the last pool, or else to the requested ones.
 */
export function replicaCount(
  context: ModelContext,
  version: VersionRecord,
  providers: readonly string[] = version.facts.providers ?? requestedProviders(context, version),
): number {
  const setting = version.spec.config.replicas ?? context.config.replicas
  if (setting !== 'auto') return setting
  if (!isOnCpu(providers)) return 1
  return Math.max(1, Math.floor(context.cores / threadsOfRun(context, version)))
}

/**
 * Throws if `wanted`, or else the settings of the version, give it more than one replica although it requests an
 * execution provider other than the CPU's.
 * @throws ERR_INVALID_OPTIONS
 */
export function checkReplicas(context: ModelContext, version: VersionRecord, wanted?: number | 'auto'): void {
  const providers = requestedProviders(context, version)
  if (isOnCpu(providers)) return
  const { config, name, version: label } = version.spec
  const settings = {
    replicas: wanted ?? config.replicas ?? context.config.replicas,
    minReplicas: config.minReplicas,
  }
  for (const [setting, value] of Object.entries(settings)) {
    if (value === undefined || value === 'auto' || value === 1) continue
    throw new errors.ERR_INVALID_OPTIONS(
      `${name}@${label}: \`${setting}\` is ${value}, but a model on ${servingProvider(providers)} has one replica, since each would hold its own copy of the weights on the device and their runs would not overlap; set \`${setting}\` of the model to 1, or run it on the CPU`,
      version.subject,
    )
  }
}

function requestedProviders(context: ModelContext, version: VersionRecord): readonly string[] {
  return providersIn(sessionOptionsOf(context, version))
}

/** Returns the number of threads of one run; for onnxruntime, 0 means all cores. */
function threadsOfRun(context: ModelContext, version: VersionRecord): number {
  const { sessionOptions, intraOpNumThreads } = version.spec.config
  const threads = sessionOptions?.intraOpNumThreads ?? intraOpNumThreads ?? context.config.intraOpNumThreads
  return Number(threads) >= 1 ? Number(threads) : context.cores
}
