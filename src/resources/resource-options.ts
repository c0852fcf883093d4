import { z } from 'zod'
import { durationMs, logLevelSchema } from '../config/runtime-options.js'

export const managerSchema = z.strictObject({
  logLevel: logLevelSchema.default('info').describe('minimum log level'),
  cleanupTimeoutMs: durationMs.default(10_000).describe('time limit for the cleanup of one resource'),
  healthTimeoutMs: durationMs.default(5_000).describe('time limit of a health check'),
})

const retrySchema = z
  .strictObject({
    attempts: z.number().int().min(1).default(3).describe('maximum number of calls of the initializer'),
    minDelayMs: durationMs.default(100).describe('upper bound of the first wait'),
    maxDelayMs: durationMs.default(5_000).describe('upper bound of any wait'),
    factor: z
      .number()
      .min(1)
      .default(2)
      .describe('factor by which the bound grows after each further attempt'),
  })
  .refine(({ minDelayMs, maxDelayMs }) => minDelayMs <= maxDelayMs, {
    message: 'must not be less than `minDelayMs`',
    path: ['maxDelayMs'],
  })

export const resourceNameSchema = z.string().min(1).max(200)

export const initializeSchema = z.strictObject({
  name: resourceNameSchema.describe('name of the resource'),
  resourceType: z.string().min(1).describe('a type registered with `registerResourceType`'),
  config: z
    .unknown()
    .optional()
    .meta({ type: 'anything', description: 'passed to the initializer unchanged' }),
  dependsOn: z.array(resourceNameSchema).optional().describe('resources that must be running first'),
  retry: retrySchema.optional().describe('retries of an initializer that fails; none by default'),
  timeoutMs: durationMs
    .default(60_000)
    .describe('time limit for dependencies, all attempts and the waits between them; 0 disables it'),
})

export const cleanupResourceSchema = z.strictObject({
  /** Time limit of each cleaner; defaults to the manager's `cleanupTimeoutMs`. */
  timeoutMs: durationMs.optional(),
})

export const cleanupAllSchema = z.strictObject({
  /**
   * Time limit of the whole cleanup; after it, the remaining cleaners are called but not awaited. Default: no
   * limit.
   */
  timeoutMs: durationMs.optional(),
})

export type ResourceManagerConfigInput = z.input<typeof managerSchema>
export type InitializeResourceOptions = z.input<typeof initializeSchema>
export type RetryOptions = z.input<typeof retrySchema>
export type RetryPolicy = Readonly<z.output<typeof retrySchema>>
export type CleanupResourceOptions = z.input<typeof cleanupResourceSchema>
export type CleanupAllOptions = z.input<typeof cleanupAllSchema>
