import { z } from 'zod'
import { durationMs } from '../../config/runtime-options.js'
import type { HealthCheckerContext, InitializerContext } from '../resource-type.js'

const aFunction = z
  .custom<(...args: never[]) => unknown>((value) => typeof value === 'function', {
    message: 'must be a function',
  })
  .meta({ type: 'function' })

export const poolSchema = z
  .strictObject({
    create: aFunction.describe(
      "makes an item, from the resource's `config` and `{ name, signal, resource }`",
    ),
    destroy: aFunction.describe('ends an item; called once for each'),
    validate: aFunction
      .optional()
      .describe('whether an item can still be used; asked each time before one is handed out'),
    check: aFunction
      .optional()
      .describe('the health check, given an item; without one, an item that can be had is enough'),
    min: z
      .number()
      .int()
      .min(0)
      .default(0)
      .describe('items made at the start, and kept however idle they are'),
    max: z.number().int().min(1).default(10).describe('items there are at most'),
    idleTimeoutMs: durationMs
      .default(30_000)
      .describe('an item unused for so long is destroyed, down to `min`; 0 is never'),
    acquireTimeoutMs: durationMs.default(30_000).describe('how long `acquire` waits'),
    createTimeoutMs: durationMs
      .default(10_000)
      .describe('how long `create` may take; an item that comes later is destroyed'),
    validateTimeoutMs: durationMs.default(5_000).describe('how long `validate` may take; longer is a no'),
    destroyTimeoutMs: durationMs.default(3_000).describe('how long `destroy` may take'),
    drainTimeoutMs: durationMs
      .default(5_000)
      .describe(
        'how long a cleanup waits for items in use, though never longer than half its own limit; then they are destroyed',
      ),
  })
  .refine(({ min, max }) => min <= max, { message: 'must not be more than `max`', path: ['min'] })

export const acquireSchema = z.strictObject({
  /** Instead of the pool's `acquireTimeoutMs`. */
  timeoutMs: durationMs.optional(),
  /** Reject with ERR_ABORTED when it aborts. */
  signal: z.instanceof(AbortSignal).optional(),
})

export const releaseSchema = z.strictObject({
  /** Destroy the item instead of keeping it. */
  isBroken: z.boolean().default(false),
})

type FunctionNames = 'create' | 'destroy' | 'validate' | 'check'

export type PoolSettings = Readonly<Omit<z.output<typeof poolSchema>, FunctionNames>>
export type AcquireOptions = z.input<typeof acquireSchema>
export type ReleaseOptions = z.input<typeof releaseSchema>

/** `signal` aborts when the item is no longer wanted; an item that comes all the same is destroyed. */
export type ItemContext = Omit<InitializerContext, 'logger'>

/** What a pool does with its items. */
export interface PoolFunctions<T, C = unknown> {
  /** Makes an item from the resource's `config`. */
  readonly create: (config: C, context: ItemContext) => T | PromiseLike<T>
  /** Ends an item; called exactly once for each. */
  readonly destroy: (item: T) => unknown
  /** Whether an item can still be used; asked each time before it is handed out. */
  readonly validate?: ((item: T) => boolean | PromiseLike<boolean>) | undefined
  /** The health check, given an item; `false`, or an error, is a no. */
  readonly check?: ((item: T, context: HealthCheckerContext) => unknown) | undefined
}

/** What `pooledResourceType` takes. */
export interface PooledResourceOptions<T, C = unknown>
  extends PoolFunctions<T, C>,
    Omit<z.input<typeof poolSchema>, FunctionNames> {}
