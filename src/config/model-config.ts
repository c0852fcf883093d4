import { z } from 'zod'
import { probe } from './artifact-options.js'
import { batching } from './batching-options.js'
import { count, countOrAuto, durationMs } from './number-schemas.js'

const jsonRecord = z.record(z.string(), z.unknown())
export const swapStrategy = z.enum(['parallel', 'resource-preserving'])

const sample = z.strictObject({
  input: jsonRecord.meta({ type: 'object, as for `predict`', description: 'a valid input' }),
  output: jsonRecord.optional().meta({
    type: 'object, by output',
    description: 'the expected outputs; outputs that are not listed are not compared',
  }),
  rtol: z
    .number()
    .min(0)
    .default(1e-3)
    .describe('tolerance for floats, relative to the expected value; all other elements must be equal'),
  atol: z.number().min(0).default(1e-5).describe('absolute tolerance, added to the relative one'),
})

/** Settings of one model; each defaults to the runtime's setting of the same name. */
export const modelConfigSchema = z.strictObject({
  replicas: countOrAuto.optional().describe('worker threads of each version'),
  intraOpNumThreads: count.max(1024).optional().describe('threads inside one run'),
  sessionOptions: jsonRecord.optional().meta({
    type: 'object',
    description: "passed to `InferenceSession.create`; overrides this library's defaults",
  }),
  executionProviders: z
    .array(z.union([z.string().min(1), z.looseObject({ name: z.string().min(1) })]))
    .min(1)
    .optional()
    .meta({
      type: 'array of names or objects',
      description: "onnxruntime's [execution providers](#execution-providers), best first",
    }),
  loaderOptions: z.unknown().optional().meta({
    type: 'anything that can be cloned',
    description: 'passed to a custom loader unchanged',
  }),
  maxQueue: z.number().int().min(0).optional().describe('requests that may wait for one version'),
  stuckAfterMs: durationMs
    .optional()
    .describe('time limit of a run; a replica that exceeds it is quarantined'),
  modelIdleMs: durationMs.optional().describe('a version that is unused for this time is evicted'),
  pinned: z.boolean().optional().describe('true: the version is never evicted'),
  minReplicas: count
    .max(1024)
    .optional()
    .describe('number of replicas that a version keeps when it is unused for `modelIdleMs`; none by default'),
  swapStrategy: swapStrategy.optional().describe('order of loading and draining in a swap to this version'),
  standbyMs: durationMs.optional().describe('time that this version keeps its pool after it is replaced'),
  drainTimeoutMs: durationMs
    .optional()
    .describe('time limit for the open requests of this version when it is stopped'),
  maxPackMs: durationMs
    .max(10_000)
    .optional()
    .describe(
      'upper bound on the expected run time of one pack (requests sent in one message and run one after another); 0 disables packing',
    ),
  maxPackBytes: count.optional().meta({ type: 'bytes' }).describe('upper bound on the bytes of one pack'),
  batching: batching.optional().meta({
    type: '`auto`, `off` or [object](#batching)',
    description:
      'lets requests share runs, once it is proven that each gets the same outputs as it would alone',
  }),
  probe: probe.optional().describe('`child`: another process loads an unknown file first'),
  artifacts: z
    .enum(['auto', 'off'])
    .optional()
    .describe('`auto`: the model is converted to a form whose weights all replicas share'),
  sample: sample.optional().describe('a request that every replica runs before it serves'),
})
