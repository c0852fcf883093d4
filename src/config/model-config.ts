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
    description: 'the expected answer; outputs that are not named are not compared',
  }),
  rtol: z
    .number()
    .min(0)
    .default(1e-3)
    .describe('tolerance for floats, relative to the expected value; all other elements have to be equal'),
  atol: z.number().min(0).default(1e-5).describe('absolute tolerance, added to that'),
})

/** Settings of one model; each falls back to the runtime's setting of the same name. */
export const modelConfigSchema = z.strictObject({
  replicas: countOrAuto.optional().describe('worker threads of each version'),
  intraOpNumThreads: count.max(1024).optional().describe('threads inside one run'),
  sessionOptions: jsonRecord.optional().meta({
    type: 'object',
    description: "passed to `InferenceSession.create`, over this library's defaults",
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
    description: 'handed to a custom loader as it is',
  }),
  maxQueue: z.number().int().min(0).optional().describe('requests that may wait for one version'),
  stuckAfterMs: durationMs.optional().describe('a run that takes longer puts its replica in quarantine'),
  modelIdleMs: durationMs.optional().describe('a version that is unused for so long is evicted'),
  pinned: z.boolean().optional().describe('it is never evicted'),
  minReplicas: count
    .max(1024)
    .optional()
    .describe('so many replicas are left when it is unused for `modelIdleMs`, instead of none'),
  swapStrategy: swapStrategy
    .optional()
    .describe('whether a swap to this version keeps the old one until it is loaded'),
  standbyMs: durationMs.optional().describe('how long this version keeps its pool after it is replaced'),
  drainTimeoutMs: durationMs
    .optional()
    .describe('how long this version waits for its requests when it is stopped'),
  maxPackMs: durationMs
    .max(10_000)
    .optional()
    .describe('requests that run one after another travel together for as long as they take so long'),
  maxPackBytes: count
    .optional()
    .meta({ type: 'bytes' })
    .describe('and not more of them than have so many bytes'),
  batching: batching.optional().meta({
    type: '`auto`, `off` or [object](#batching)',
    description: 'whether requests may share runs, once it is proven that each is answered as if alone',
  }),
  probe: probe.optional().describe('whether another process loads a file first that is not known'),
  artifacts: z
    .enum(['auto', 'off'])
    .optional()
    .describe('whether the model is made into a form whose weights all replicas share'),
  sample: sample.optional().describe('what every replica runs before it serves'),
})
