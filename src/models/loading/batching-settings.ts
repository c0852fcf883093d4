import type { Prepared } from '../../artifacts/artifacts.js'
import { builderBytes } from '../../artifacts/builder/builder-bytes.js'
import { batchingOptionsSchema } from '../../config/batching-options.js'
import type { BatchingSettings } from '../../pools/batching/batching.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { hasBuiltInLoader } from './check-source.js'
import { sessionOptionsOf } from './session-options.js'

/**
 * Returns whether and how requests of a version may share runs. Runs of a custom loader may have effects, so
 * none is repeated or joined unless its model asks for it, and none is made up.
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
  // Data that is handed over cannot be read by another process.
  if (sessionOptions.externalData !== undefined) return settings
  const { source } = version.spec
  const subject = { ...version.subject, source, sessionOptions }
  const maxBytes = builderBytes(config.artifacts, bytes)
  // Whoever waits for a proof has a timer of its own.
  const limits = { timeoutMs: config.loadTimeoutMs, maxBytes, keepsAwake: false }
  return { ...settings, tryFirst: (trial) => trials.run(subject, trial, limits) }
}
