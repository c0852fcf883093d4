import { parseOptions } from '../../config/parse-options.js'
import { type Clock, systemClock } from '../../platform/clock.js'
import type { Cleaner, HealthChecker, Initializer } from '../resource-type.js'
import { type PooledResourceOptions, poolSchema } from './pool-options.js'
import { PooledResource } from './pooled-resource.js'

/** The functions of a pooled type: the arguments of `registerResourceType` after the type's name. */
export type PooledResourceType<T, C = unknown> = readonly [
  initializer: Initializer<PooledResource<T>, C>,
  cleaner: Cleaner<PooledResource<T>>,
  healthChecker: HealthChecker<PooledResource<T>>,
]

/**
 * Returns the functions of a type whose resources are pools: the resource is a {@link PooledResource}, and
 * `create` makes one of its items. Spread them into the registration:
 * `manager.registerResourceType('postgres', ...pooledResourceType({ create, destroy }))`.
 * @throws ERR_INVALID_OPTIONS
 */
export function pooledResourceType<T, C = unknown>(
  options: PooledResourceOptions<T, C>,
  clock: Clock = systemClock,
): PooledResourceType<T, C> {
  const settings = Object.freeze(parseOptions(poolSchema, options, 'pooledResourceType'))
  const { create, destroy, validate = () => true, check = () => true } = options
  return [
    async (config, { name, signal, logger, resource }) => {
      const functions = {
        create: (itemSignal: AbortSignal) => create(config, { name, signal: itemSignal, resource }),
        destroy,
        validate,
      }
      const pool = new PooledResource<T>(clock, name, functions, settings, logger)
      try {
        await pool.fill(signal)
      } catch (error) {
        await pool.close(0)
        throw error
      }
      return pool
    },
    // The other half of the time is for destroying the items.
    (pool, { timeoutMs }) => pool.close(Math.min(settings.drainTimeoutMs, timeoutMs / 2)),
    (pool, context) => pool.probe((item) => check(item, context), context.signal),
  ]
}
