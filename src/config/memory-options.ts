import { z } from 'zod'

export const memoryOptionsSchema = z.strictObject({
  budgetBytes: z
    .number()
    .int()
    .min(0)
    .optional()
    .meta({ type: 'bytes' })
    .describe(
      "memory that the process may hold: a load that does not fit evicts unused versions, or is rejected; 0 disables the limit; defaults to nine tenths of the control group's limit, or of the machine's memory; set it explicitly when several processes share the machine",
    ),
  allocator: z
    .enum(['tuned', 'untouched'])
    .default('tuned')
    .describe(
      '`tuned`: in the whole process, malloc maps each allocation of 1 MiB and more separately while a model is being loaded, and of 32 MiB and more at other times; `untouched`: malloc keeps its settings',
    ),
})
