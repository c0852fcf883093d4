import type { Prepared } from '../../artifacts/artifacts.js'
import { builderBytes } from '../../artifacts/builder/builder-bytes.js'
import { batchingOptionsSchema } from '../../config/batching-options.js'
import type { BatchingSettings } from '../../pools/batching/batching.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { hasBuiltInLoader } from './check-source.js'
import { sessionOptionsOf } from './session-options.js'

/**
 * Returns how requests of a version may share runs; undefined if they may not. Runs of a custom loader may have side
 * effects, so they are joined, or repeated for a proof, only if the settings of the model enable batching, and they
 * never get rows that no caller sent.
 */
export function batchingSettings(
  context: ModelContext,
  version: VersionRecord,
  prepared: Prepared,
): BatchingSettings | undefined {
  const { config } = version.spec
  const isBuiltIn = hasBuiltInLoader(context, version)
  const setting = config.batching ?? (isBuiltIn ? context.config.batching : 'off')
  if (setting === 'off') return undefined
  const settings = setting === 'auto' ? batchingOptionsSchema.parse({}) : setting
  if (!isBuiltIn) return { ...settings, rows: 'sent' }
  return (config.probe ?? context.config.probe) === 'child'
    ? withTrials(context, version, prepared, settings)
    : settings
}

function withTrials(
  context: ModelContext,
  version: VersionRecord,
  { bytes }: Prepared,
  settings: BatchingSettings,
): BatchingSettings {
  const { config, trials } = context
  const sessionOptions = sessionOptionsOf(context, version)
  // Another process cannot read external data that is passed in memory.
  if (sessionOptions.externalData !== undefined) return settings
  const { source } = version.spec
  const subject = { ...version.subject, source, sessionOptions }
  const maxBytes = builderBytes(config.artifacts, bytes)
  // The trial must not keep the process alive; requests that wait for the proof have their own timers.
  const limits = { timeoutMs: config.loadTimeoutMs, maxBytes, keepsAwake: false }
  return { ...settings, tryFirst: (trial) => trials.run(subject, trial, limits) }
}
