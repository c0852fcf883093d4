import { machineTraits } from '../artifacts/artifact-key.js'
import { Artifacts } from '../artifacts/artifacts.js'
import { BatchTrials } from '../artifacts/builder/batch-trials.js'
import { builderEnvironment, builderNode } from '../artifacts/builder/builder-node.js'
import { type BuilderEntry, PARENT_VARIABLE } from '../artifacts/builder/child-processes.js'
import { artifactOptionsSchema } from '../config/artifact-options.js'
import type { RuntimeConfig } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import { builderEntry } from '../platform/package-files.js'
import { userCacheDir } from '../platform/user-cache-dir.js'
import type { Logger } from '../telemetry/logger.js'
import type { Shortfalls } from '../telemetry/shortfalls.js'
import { environment, filePathOf, resolverArgv } from './worker-entries.js'

/**
 * Returns the artifact cache and builder of this machine.
 * @throws ERR_INVALID_OPTIONS in a process that another runtime has started as its builder
 */
export function createArtifacts(
  clock: Clock,
  config: RuntimeConfig,
  logger: Logger,
  shortfalls: Shortfalls,
): Artifacts {
  const { artifacts, cacheDir } = config
  const parent = process.env[PARENT_VARIABLE]
  if (parent !== undefined) {
    throw new errors.ERR_INVALID_OPTIONS(
      `createRuntime: process ${parent} started this process to build its artifacts, but ${process.execPath} runs the application instead; set \`builderExecPath\` to a Node executable`,
    )
  }
  let traits: readonly string[] | undefined
  const settings = {
    clock,
    machine: () => {
      traits ??= machineTraits()
      return traits
    },
    cacheDir: cacheDir === undefined ? userCacheDir() : filePathOf(cacheDir),
    builder: builderOf(config),
    options: typeof artifacts === 'object' ? artifacts : artifactOptionsSchema.parse({}),
  }
  return new Artifacts(settings, logger.child({ component: 'artifacts' }), shortfalls)
}

/** Returns the port that runs trial batches in a builder process. */
export function createTrials(clock: Clock, config: RuntimeConfig): BatchTrials {
  return new BatchTrials(clock, builderOf(config))
}

function builderOf({ builderEntry: moved, builderExecPath }: RuntimeConfig): BuilderEntry {
  return {
    path: moved === undefined ? builderEntry() : filePathOf(moved),
    node: builderNode(builderExecPath === undefined ? undefined : filePathOf(builderExecPath)),
    execArgv: resolverArgv(false),
    env: builderEnvironment(environment()),
  }
}
