import { z } from 'zod'

export const memorySchema = z.strictObject({
  allocator: z
    .enum(['tuned', 'untouched'])
    .default('tuned')
    .describe(
      "`tuned`: while a model is loaded malloc maps allocations of 1 MiB and more by themselves, else of 32 MiB and more, in the whole process; `untouched`: its settings stay the host's",
    ),
})
