import { z } from 'zod'

export const memoryOptionsSchema = z.strictObject({
  budgetBytes: z
    .number()
    .int()
    .min(0)
    .optional()
    .meta({ type: 'bytes' })
    .describe(
      "what the process may hold: loads that do not fit evict what nobody uses, or are refused; 0 is without a limit; by default nine tenths of the control group's limit, or of the machine's memory, which processes that share it had better be told their part of",
    ),
  allocator: z
    .enum(['tuned', 'untouched'])
    .default('tuned')
    .describe(
      "`tuned`: while a model is loaded malloc maps allocations of 1 MiB and more by themselves, else of 32 MiB and more, in the whole process; `untouched`: its settings stay the host's",
    ),
})
