import { z } from 'zod'
import { durationMs } from '../../config/runtime-options.js'
import type { HealthCheckerContext, InitializerContext } from '../resource-type.js'

const anyFunction = z
  .custom<(...args: never[]) => unknown>((value) => typeof value === 'function', {
    message: 'must be a function',
  })
  .meta({ type: 'function' })

export const poolSchema = z
  .strictObject({
    create: anyFunction.describe(
      "makes an item, from the resource's `config` and `{ name, signal, resource }`",
    ),
    destroy: anyFunction.describe('destroys an item; called once for each'),
    validate: anyFunction
      .optional()
      .describe('returns true if an item can still be used; called before each use of an item'),
    check: anyFunction
      .optional()
      .describe('the health check of an item; without one, the pool is healthy if an item is available'),
    min: z
      .number()
      .int()
      .min(0)
      .default(0)
      .describe('number of items made at the start, and kept even if they are idle'),
    max: z.number().int().min(1).default(10).describe('maximum number of items'),
    idleTimeoutMs: durationMs
      .default(30_000)
      .describe('an item that is unused for this time is destroyed, down to `min`; 0 disables it'),
    acquireTimeoutMs: durationMs.default(30_000).describe('time limit of `acquire`'),
    createTimeoutMs: durationMs
      .default(10_000)
      .describe('time limit of `create`; an item that is made later is destroyed'),
    validateTimeoutMs: durationMs
      .default(5_000)
      .describe('time limit of `validate`; an item that exceeds it is destroyed'),
    destroyTimeoutMs: durationMs.default(3_000).describe('time limit of `destroy`'),
    drainTimeoutMs: durationMs
      .default(5_000)
      .describe(
        'time that a cleanup waits for items in use, at most half of its own limit; then they are destroyed',
      ),
  })
  .refine(({ min, max }) => min <= max, { message: 'must not be more than `max`', path: ['min'] })

export const acquireSchema = z.strictObject({
  /** Time limit, in milliseconds; defaults to the pool's `acquireTimeoutMs`. */
  timeoutMs: durationMs.optional(),
  /** Rejects with ERR_ABORTED when the signal aborts. */
  signal: z.instanceof(AbortSignal).optional(),
})

export const releaseSchema = z.strictObject({
  /** True: destroys the item instead of keeping it. Default: false. */
  isBroken: z.boolean().default(false),
})

type FunctionNames = 'create' | 'destroy' | 'validate' | 'check'

export type PoolSettings = Readonly<Omit<z.output<typeof poolSchema>, FunctionNames>>
export type AcquireOptions = z.input<typeof acquireSchema>
export type ReleaseOptions = z.input<typeof releaseSchema>

/**
 * The second argument of `create`. Its `signal` aborts when the item is no longer needed; an item made later
 * is destroyed.
 */
export type ItemContext = Omit<InitializerContext, 'logger'>

/** The functions of a pool. */
export interface PoolFunctions<T, C = unknown> {
  /** Makes an item from the resource's `config`. */
  readonly create: (config: C, context: ItemContext) => T | PromiseLike<T>
  /** Destroys an item; called exactly once for each. */
  readonly destroy: (item: T) => unknown
  /** Returns true if an item can still be used; called before each use of an item. Default: always true. */
  readonly validate?: ((item: T) => boolean | PromiseLike<boolean>) | undefined
  /** Checks the health of an item, which is unhealthy if this returns `false` or throws. Default: always healthy. */
  readonly check?: ((item: T, context: HealthCheckerContext) => unknown) | undefined
}

/** Options of `pooledResourceType`. */
export interface PooledResourceOptions<T, C = unknown>
  extends PoolFunctions<T, C>,
    Omit<z.input<typeof poolSchema>, FunctionNames> {}
