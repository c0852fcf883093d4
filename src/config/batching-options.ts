import { z } from 'zod'
import { count, durationMs } from './number-schemas.js'

const axes = z.record(z.string(), z.number().int().min(0))
const padding = z
  .strictObject({
    inputs: axes.meta({
      type: 'object of axes by input',
      description: 'inputs that may be padded with zeros, each with the axis to pad',
    }),
    outputs: axes.prefault({}).meta({
      type: 'object of axes by output',
      description: 'outputs that are cut back to the length of their request, each with the axis to cut',
    }),
    mask: z.string().optional().describe('the one of these inputs whose zeros mark padding'),
    length: z.string().optional().describe('the input that holds the length of a request'),
  })
  .refine(({ mask, length }) => mask !== undefined || length !== undefined, {
    message: 'must have `mask` or `length`, which marks the end of a request',
  })

export const batchingOptionsSchema = z.strictObject({
  maxRows: count
    .max(4096)
    .default(128)
    .describe('maximum number of rows in a batch; fewer if the proof only covers fewer'),
  maxDelayMs: durationMs
    .max(10_000)
    .default(0)
    .describe('longest time that a request waits for others to share its run while a replica is idle'),
  tolerance: z
    .strictObject({
      rtol: z.number().min(0).default(1e-4).describe('relative to the outputs of the unbatched request'),
      atol: z.number().min(0).default(1e-6).describe('absolute, added to the relative tolerance'),
    })
    .prefault({})
    .meta({
      type: 'object of `rtol` and `atol`',
      description:
        'largest difference of floats between a batched request and the same request alone; all other elements must be equal',
    }),
  padding: padding
    .optional()
    .describe('lets requests of unequal length share runs if that is proven to be safe'),
  proofBudgetMs: z
    .number()
    .min(1)
    .max(10_000)
    .default(10)
    .describe(
      'longest time without a break that the proof, or a check of a batch, keeps a replica from requests',
    ),
})
/** The `batching` option: `auto`, `off`, or settings under which requests may share runs. */
export const batching = z.union([z.literal('auto'), z.literal('off'), batchingOptionsSchema])
