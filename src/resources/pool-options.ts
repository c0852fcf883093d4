import { z } from 'zod'
import { durationMs } from '../config.js'
import type { HealthCheckerContext, InitializerContext } from './resource-type.js'

const aFunction = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', {
  message: 'must be a function',
})

export const poolSchema = z
  .strictObject({
    create: aFunction,
    destroy: aFunction,
    validate: aFunction.optional(),
    check: aFunction.optional(),
    /** Items that are made at the start, and kept however idle they are. */
    min: z.number().int().min(0).default(0),
    /** Items there are at most. */
    max: z.number().int().min(1).default(10),
    /** An item unused for this long is destroyed, down to `min`; 0 is never. */
    idleTimeoutMs: durationMs.default(30_000),
    /** How long `acquire` waits for an item. */
    acquireTimeoutMs: durationMs.default(30_000),
    /** How long `create` may take. */
    createTimeoutMs: durationMs.default(10_000),
    /** How long `validate` may take; longer is a no. */
    validateTimeoutMs: durationMs.default(5_000),
    /** How long `destroy` may take. */
    destroyTimeoutMs: durationMs.default(3_000),
    /** How long a cleanup waits for items in use, though never longer than half its own limit. */
    drainTimeoutMs: durationMs.default(5_000),
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
