import { Artifacts } from '../artifacts/artifacts.js'
import { BatchTrials } from '../artifacts/batch-trials.js'
import { builderNode } from '../artifacts/builder-node.js'
import { type BuilderEntry, PARENT_VARIABLE } from '../artifacts/child-processes.js'
import type { RuntimeConfig } from '../config.js'
import { artifactOptionsSchema, userCacheDir } from '../config-artifacts.js'
import { errors } from '../errors.js'
import type { Logger } from '../telemetry/logger.js'
import { ENTRY_EXEC_ARGV, ENTRY_TYPE, environment, filePathOf } from './entries.js'

const BUILDER_ENTRY = new URL(`../../workers/artifact-builder.${ENTRY_TYPE}`, import.meta.url).href
/** Makes Electron behave as Node, if its fuse for that is on. */
const ELECTRON_AS_NODE = process.versions.electron === undefined ? {} : { ELECTRON_RUN_AS_NODE: '1' }

/** @throws ERR_INVALID_OPTIONS in a process that another runtime has started as its builder. */
export function createArtifacts(config: RuntimeConfig, logger: Logger): Artifacts {
  const { artifacts, cacheDir } = config
  const parent = process.env[PARENT_VARIABLE]
  if (parent !== undefined) {
    throw new errors.ERR_INVALID_OPTIONS(
      `createRuntime: process ${parent} has started this one to try its models, and ${process.execPath} runs the application instead; set \`builderExecPath\` to a Node executable`,
    )
  }
  const settings = {
    cacheDir: cacheDir === undefined ? userCacheDir() : filePathOf(cacheDir),
    builder: builderEntryOf(config),
    options: typeof artifacts === 'object' ? artifacts : artifactOptionsSchema.parse({}),
  }
  return new Artifacts(settings, logger.child({ component: 'artifacts' }))
}

export function createTrials(config: RuntimeConfig): BatchTrials {
  return new BatchTrials(builderEntryOf(config))
}

function builderEntryOf({ builderEntry, builderExecPath }: RuntimeConfig): BuilderEntry {
  return {
    path: filePathOf(builderEntry ?? BUILDER_ENTRY),
    node: builderNode(builderExecPath === undefined ? undefined : filePathOf(builderExecPath)),
    execArgv: ENTRY_EXEC_ARGV,
    env: { ...environment(), ...ELECTRON_AS_NODE },
  }
}
