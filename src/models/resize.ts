import { parseOptions } from '../config/parse-options.js'
import { resizeSchema } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import { assertOpen, type ModelContext } from './context/model-context.js'
import type { VersionSpec } from './context/version-record.js'
import { loadError } from './loading/load-error.js'
import { checkReplicas, replicaCount } from './loading/replica-count.js'
import type { ModelRegistry } from './registry/model-registry.js'
import type { ModelVersion } from './version/model-version.js'

/**
 * Changes the number of replicas of a version: of its pool, if it has one, and of its later pools. The resize starts
 * in the lane of the model but does not hold it to the end, so that later changes need not wait for the last runs of
 * replicas that are stopped.
 */
export async function resize(
  context: ModelContext,
  registry: ModelRegistry,
  { name, version: label }: Pick<VersionSpec, 'name' | 'version'>,
  replicas: number | 'auto',
): Promise<void> {
  const wanted = parseOptions(resizeSchema, replicas, 'resize')
  assertOpen(context)
  const { lane } = registry.require(name)
  await context.scope.runInAsyncScope(async () => {
    const begin = async (): Promise<{ resized: Promise<void> }> => {
      assertOpen(context)
      const resized = resizeVersion(context, registry.requireVersion(name, label), wanted)
      resized.catch(() => undefined)
      return { resized }
    }
    await (await lane.run(begin)).resized
  })
}

async function resizeVersion(
  context: ModelContext,
  version: ModelVersion,
  replicas: number | 'auto',
): Promise<void> {
  const { pool, record } = version
  if (version.is('error')) {
    const { cause } = version
    throw new errors.ERR_MODEL_UNAVAILABLE(
      `${record.label} is in the state error and cannot be resized; load it again first: ${String((cause as Error | undefined)?.message)}`,
      { ...record.subject, cause },
    )
  }
  checkReplicas(context, record, replicas)
  version.setReplicas(replicas)
  if (!pool?.isOpen) return
  const from = pool.wanted
  try {
    await pool.resize(replicaCount(context, record))
  } catch (error) {
    // Later pools would fail in the same way.
    if (pool.isOpen) version.setReplicas(pool.wanted)
    assertOpen(context)
    throw loadError(record, error)
  }
  // An overlapping call may have set another size.
  const to = pool.wanted
  if (from !== to) context.logger.info({ ...record.subject, from, to }, 'pool resized')
}
