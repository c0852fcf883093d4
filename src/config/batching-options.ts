import { z } from 'zod'
import { count, durationMs } from './number-schemas.js'

const axes = z.record(z.string(), z.number().int().min(0))
const padding = z
  .strictObject({
    inputs: axes.meta({
      type: 'object of axes by input',
      description: 'inputs that are filled up with zeros, and along which axis',
    }),
    outputs: axes.prefault({}).meta({
      type: 'object of axes by output',
      description: 'outputs that are cut back, and along which axis',
    }),
    mask: z.string().optional().describe('the one of these inputs whose zeros say what does not count'),
    length: z.string().optional().describe('the input that says how long a request is'),
  })
  .refine(({ mask, length }) => mask !== undefined || length !== undefined, {
    message: 'either `mask` or `length` says where a request ends',
  })

export const batchingOptionsSchema = z.strictObject({
  maxRows: count.max(4096).default(128).describe('most rows of a batch; fewer if so many are not proven'),
  maxDelayMs: durationMs
    .max(10_000)
    .default(0)
    .describe('how long a request may wait for others to share its run although a replica is idle'),
  tolerance: z
    .strictObject({
      rtol: z.number().min(0).default(1e-4).describe('relative to the answer of a request alone'),
      atol: z.number().min(0).default(1e-6).describe('absolute, added to that'),
    })
    .prefault({})
    .meta({
      type: 'object of `rtol` and `atol`',
      description:
        'how far floats in a batch may be from those of a request alone; all other elements have to be equal',
    }),
  padding: padding.optional().describe('lets requests of unequal length share runs, where that is proven'),
  proofBudgetMs: z
    .number()
    .min(1)
    .max(10_000)
    .default(10)
    .describe('longest stretch that the proof, or a check of a batch, keeps a replica from requests'),
})
/** Whether requests may share runs. */
export const batching = z.union([z.literal('auto'), z.literal('off'), batchingOptionsSchema])
