import { parseOptions, resizeSchema } from '../config.js'
import { errors } from '../errors.js'
import { loadError } from './bring-up.js'
import type { ModelVersion, VersionSpec } from './model-version.js'
import { checkReplicas, replicaCount } from './replica-count.js'
import { assertOpen, type Serving } from './serving.js'

/**
 * Gives a version another number of replicas: its pool, if it has one, and those that it gets
 * later. The turn among the changes of the model is only waited for, not kept: what
 * follows does not wait until the last run of a replica that goes is over.
 */
export async function resize(
  serving: Serving,
  { name, version: label }: Pick<VersionSpec, 'name' | 'version'>,
  replicas: number | 'auto',
): Promise<void> {
  const wanted = parseOptions(resizeSchema, replicas, 'resize')
  assertOpen(serving)
  const { lane } = serving.catalogue.require(name)
  await serving.scope.runInAsyncScope(async () => {
    const begin = async (): Promise<{ resized: Promise<void> }> => {
      assertOpen(serving)
      const resized = resizeVersion(serving, serving.catalogue.requireVersion(name, label), wanted)
      resized.catch(() => undefined)
      return { resized }
    }
    await (await lane.add(begin)).resized
  })
}

async function resizeVersion(
  serving: Serving,
  version: ModelVersion,
  replicas: number | 'auto',
): Promise<void> {
  const { pool, machine } = version
  if (machine.is('error')) {
    const { cause } = machine
    throw new errors.ERR_MODEL_UNAVAILABLE(
      `${version.spec.name}@${version.spec.version} has no replicas to add to or to take from, it is in error: ${String((cause as Error | undefined)?.message)}`,
      { ...version.subject, cause },
    )
  }
  checkReplicas(serving, version, replicas)
  version.setReplicas(replicas)
  if (!pool?.isOpen) return
  const from = pool.wanted
  try {
    await pool.resize(replicaCount(serving, version))
  } catch (error) {
    // Later pools would fail like this one.
    if (pool.isOpen) version.setReplicas(pool.wanted)
    assertOpen(serving)
    throw loadError(version, error)
  }
  // Of calls that overlap another one may have counted.
  const to = pool.wanted
  if (from !== to) serving.logger.info({ ...version.subject, from, to }, 'a pool was resized')
}
