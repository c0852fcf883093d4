import { Artifacts } from '../artifacts/artifacts.js'
import type { RuntimeConfig } from '../config.js'
import { artifactOptionsSchema, userCacheDir } from '../config-artifacts.js'
import type { Logger } from '../telemetry/logger.js'
import { ENTRY_EXEC_ARGV, ENTRY_TYPE, environment, filePathOf } from './entries.js'

const BUILDER_ENTRY = new URL(`../../workers/artifact-builder.${ENTRY_TYPE}`, import.meta.url).href

export function createArtifacts(config: RuntimeConfig, logger: Logger): Artifacts {
  const { artifacts, cacheDir, builderEntry } = config
  const settings = {
    cacheDir: cacheDir === undefined ? userCacheDir() : filePathOf(cacheDir),
    builder: {
      path: filePathOf(builderEntry ?? BUILDER_ENTRY),
      execArgv: ENTRY_EXEC_ARGV,
      env: environment(),
    },
    options: typeof artifacts === 'object' ? artifacts : artifactOptionsSchema.parse({}),
  }
  return new Artifacts(settings, logger.child({ component: 'artifacts' }))
}
