import { z } from 'zod'
import { durationMs, logLevelSchema } from '../config/runtime-options.js'

export const managerSchema = z.strictObject({
  logLevel: logLevelSchema.default('info').describe('least severe level that is logged'),
  cleanupTimeoutMs: durationMs.default(10_000).describe('how long the cleanup of one resource may take'),
  healthTimeoutMs: durationMs.default(5_000).describe('how long a health check may take'),
})

const retrySchema = z
  .strictObject({
    attempts: z.number().int().min(1).default(3).describe('how often it is called at most'),
    minDelayMs: durationMs.default(100).describe('upper bound of the first wait'),
    maxDelayMs: durationMs.default(5_000).describe('upper bound of any wait'),
    factor: z
      .number()
      .min(1)
      .default(2)
      .describe('what the bound is multiplied by after each further attempt'),
  })
  .refine(({ minDelayMs, maxDelayMs }) => minDelayMs <= maxDelayMs, {
    message: 'must not be less than `minDelayMs`',
    path: ['maxDelayMs'],
  })

export const resourceNameSchema = z.string().min(1).max(200)

export const initializeSchema = z.strictObject({
  name: resourceNameSchema.describe('what the resource is called'),
  resourceType: z.string().min(1).describe('a type known from `registerResourceType`'),
  config: z
    .unknown()
    .optional()
    .meta({ type: 'anything', description: 'handed to the initializer as it is' }),
  dependsOn: z.array(resourceNameSchema).optional().describe('resources that have to be there first'),
  retry: retrySchema.optional().describe('call an initializer that fails again'),
  timeoutMs: durationMs
    .default(60_000)
    .describe('for the whole of it: dependencies, every attempt, the waits between; 0 is for ever'),
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
