import { z } from 'zod'
import { parseOptions } from '../config/parse-options.js'
import {
  modelConfigSchema,
  modelNameSchema,
  type RuntimeConfig,
  runtimeSchema,
} from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import { newestVersions } from '../models/registry/version-order.js'
import { TENSOR_TYPES } from '../tensors/tensor.js'
import type { TestModel, TestModelConfig, TestVersion } from './test-model.js'
import type { SharedOptions, TestRuntimeOptions } from './test-runtime-options.js'

/** Folder that the model directory of a test runtime would be. */
const MODEL_DIR = '/test-models'

const ms = z.union([z.number().min(0), z.literal(Number.POSITIVE_INFINITY)], {
  error: 'a number of milliseconds, 0 or more',
})

function functionOf<T>(what: string): z.ZodType<T> {
  return z.custom<T>((value) => typeof value === 'function', { error: what })
}

const spec = z.strictObject({
  name: z.string(),
  type: z.enum(TENSOR_TYPES),
  dims: z.array(z.union([z.number().int().min(0), z.string()])),
})

const specs = z.array(spec).refine((all) => new Set(all.map(({ name }) => name)).size === all.length, {
  error: 'each name may stand there once',
})

const signature = z.strictObject({
  inputs: specs,
  outputs: specs,
  unsupported: z.array(z.strictObject({ name: z.string(), reason: z.string() })).optional(),
})

const config = modelConfigSchema.pick({
  replicas: true,
  maxQueue: true,
  stuckAfterMs: true,
  modelIdleMs: true,
  pinned: true,
  minReplicas: true,
  swapStrategy: true,
  standbyMs: true,
  drainTimeoutMs: true,
  maxPackMs: true,
  maxPackBytes: true,
  sample: true,
} satisfies Record<keyof TestModelConfig, true>)

const version = z.strictObject({
  answer: functionOf<TestVersion['answer']>('a function from inputs to outputs'),
  latencyMs: z.union([ms, functionOf<(inputs: never) => number>('a function that returns one')]).optional(),
  loadMs: ms.optional(),
  loadError: z
    .custom(
      (value) => typeof value === 'function' || Object.prototype.toString.call(value) === '[object Error]',
      {
        error: 'an Error, or a function that returns one',
      },
    )
    .optional(),
  signature: signature.optional(),
  config: config.optional(),
})

const model = z.strictObject({
  signature,
  versions: z.record(modelNameSchema, version).refine((all) => Object.keys(all).length > 0, {
    error: 'at least one version',
  }),
  active: z.union([z.string(), z.literal(false)]).optional(),
  config: config.optional(),
})

const testRuntimeSchema = runtimeSchema
  .pick({
    appName: true,
    logLevel: true,
    gracefulShutdownTimeoutMs: true,
    onLoadError: true,
    replicas: true,
    maxConcurrentLoads: true,
    maxQueue: true,
    maxPackMs: true,
    maxPackBytes: true,
    stuckAfterMs: true,
    loadTimeoutMs: true,
    modelCleanupIntervalMs: true,
    modelIdleMs: true,
    swapStrategy: true,
    standbyMs: true,
    drainTimeoutMs: true,
    crashBudget: true,
    crashWindowMs: true,
    restartBackoffMs: true,
    maxRestartBackoffMs: true,
    controlTimeoutMs: true,
  } satisfies Record<keyof SharedOptions | 'logLevel', true>)
  .extend({
    logLevel: runtimeSchema.shape.logLevel.unwrap().default('silent'),
    models: z.record(modelNameSchema, model),
  })

/** Options of a test runtime, checked, with the settings of the runtime that they make. */
export interface ParsedTestOptions {
  readonly models: Readonly<Record<string, TestModel>>
  readonly config: RuntimeConfig
}

/** Checks the options of a test runtime and fills in defaults. @throws ERR_INVALID_OPTIONS */
export function parseTestOptions(options: Omit<TestRuntimeOptions, 'logger'>): ParsedTestOptions {
  const { models: checked, ...given } = parseOptions(testRuntimeSchema, options, 'createTestRuntime')
  const models = checked as unknown as Readonly<Record<string, TestModel>>
  const active = Object.entries(models).flatMap(([name, each]) => activeOf(name, each))
  const config = runtimeSchema.parse({
    ...given,
    models: active,
    modelDir: MODEL_DIR,
    batching: 'off',
    artifacts: 'off',
    probe: 'off',
  })
  return { models, config }
}

/** Returns the version to load at the start, if any. */
function activeOf(name: string, { versions, active }: TestModel): { name: string; version: string }[] {
  if (active === false) return []
  const refuse = (why: string): Error =>
    new errors.ERR_INVALID_OPTIONS(`createTestRuntime: \`models.${name}.active\` ${why}`)
  const labels = Object.keys(versions)
  if (active !== undefined) {
    if (labels.includes(active)) return [{ name, version: active }]
    throw refuse(`is ${JSON.stringify(active)}: \`versions\` has ${labels.join(', ')}`)
  }
  const newest = newestVersions(labels)
  if (newest.length === 1) return [{ name, version: newest[0] as string }]
  throw refuse(`is missing: the latest of ${newest.join(', ')} cannot be told from these labels`)
}
