import { z } from 'zod'
import { durationMs, logLevelSchema } from '../config.js'

export const managerSchema = z.strictObject({
  /** Least severe level that is logged; of no use beside a `logger`, which has its own. */
  logLevel: logLevelSchema.default('info'),
  /** How long the cleanup of one resource may take. */
  cleanupTimeoutMs: durationMs.default(10_000),
  /** How long a health check may take. */
  healthTimeoutMs: durationMs.default(5_000),
})

const retrySchema = z
  .strictObject({
    /** How often the initializer is called at most. */
    attempts: z.number().int().min(1).default(3),
    /** Upper bound of the wait before the second attempt; the wait itself is random (full jitter). */
    minDelayMs: durationMs.default(100),
    /** Upper bound of any wait. */
    maxDelayMs: durationMs.default(5_000),
    /** What the bound is multiplied by after each further attempt. */
    factor: z.number().min(1).default(2),
  })
  .refine(({ minDelayMs, maxDelayMs }) => minDelayMs <= maxDelayMs, {
    message: 'must not be less than `minDelayMs`',
    path: ['maxDelayMs'],
  })

export const resourceNameSchema = z.string().min(1).max(200)

export const initializeSchema = z.strictObject({
  name: resourceNameSchema,
  /** A type known from `registerResourceType`. */
  resourceType: z.string().min(1),
  /** Handed to the initializer as it is. */
  config: z.unknown().optional(),
  /** Names of resources that have to be there first; they are cleaned up after this one. */
  dependsOn: z.array(resourceNameSchema).optional(),
  /** Call an initializer that fails again; without it, one failure is the end. */
  retry: retrySchema.optional(),
  /** For the whole of it: dependencies, every attempt and the waits between; 0 is for ever. */
  timeoutMs: durationMs.default(60_000),
})

export const cleanupResourceSchema = z.strictObject({
  /** Instead of the manager's `cleanupTimeoutMs`. */
  timeoutMs: durationMs.optional(),
})

export const cleanupAllSchema = z.strictObject({
  /** For all of it; the cleaners left when it has passed are called without waiting for them. */
  timeoutMs: durationMs.optional(),
})

export type ResourceManagerConfigInput = z.input<typeof managerSchema>
export type InitializeResourceOptions = z.input<typeof initializeSchema>
export type RetryOptions = z.input<typeof retrySchema>
export type RetryPolicy = Readonly<z.output<typeof retrySchema>>
export type CleanupResourceOptions = z.input<typeof cleanupResourceSchema>
export type CleanupAllOptions = z.input<typeof cleanupAllSchema>
