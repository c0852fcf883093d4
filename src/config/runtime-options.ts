import { z } from 'zod'
import { artifacts, probe } from './artifact-options.js'
import { batching } from './batching-options.js'
import { memoryOptionsSchema } from './memory-options.js'
import { modelConfigSchema, swapStrategy } from './model-config.js'
import { count, countOrAuto, durationMs } from './number-schemas.js'

export { durationMs, MAX_TIMER_MS } from './number-schemas.js'

const name = z
  .string()
  .min(1)
  .max(200)
  .refine((value) => !/[/\\\0]/.test(value) && value !== '.' && value !== '..', {
    message: 'must be usable as a folder name: no slash, backslash or NUL',
  })
const NO_LABEL =
  'give its label, that of its folder in `modelDir`, or one of your own for a `source`; of each model in `modelDir` the latest version is loaded at the start by itself'
const label = z.string({ error: ({ input }) => (input === undefined ? NO_LABEL : undefined) }).pipe(name)
export const logLevelSchema = z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'])
const loaderModule = z.union([z.string().min(1), z.instanceof(URL)], {
  error:
    "must be the path or file URL of a module that exports `load`, for example new URL('./loader.js', import.meta.url); a function cannot be sent to a worker thread",
})
const fileOrUrl = z.union([z.string().min(1), z.instanceof(URL)]).meta({ type: 'path or file URL' })

export const loadModelSchema = z.strictObject({
  name,
  version: label,
  /** A registered loader's type. */
  modelType: z.string().min(1).default('onnx'),
  /** Path or file URL; by default `<modelDir>/<name>/<version>/model.onnx`. */
  source: fileOrUrl.optional(),
  config: modelConfigSchema.prefault({}),
  /** Make the version active once it is ready, even if another one is. */
  promote: z.boolean().default(false),
})

export const hotSwapSchema = z.strictObject({
  name,
  newVersion: name,
  /** Refuse unless this is the active version at the moment of the flip. */
  oldVersion: name.optional(),
  modelType: z.string().min(1).optional(),
  source: fileOrUrl.optional(),
  config: modelConfigSchema.optional(),
})

export const predictOptionsSchema = z.strictObject({
  /** Ask this version and not the active one. */
  version: z.string().min(1).optional(),
  /** Reject with ERR_DEADLINE_EXCEEDED after this long; the run itself cannot be cancelled. */
  timeoutMs: durationMs.optional(),
  /** Reject with ERR_ABORTED when it aborts. */
  signal: z.instanceof(AbortSignal).optional(),
  /** Names of the outputs to compute; all by default. */
  outputs: z.array(z.string()).min(1).optional(),
  /** Move the input's buffers instead of copying them: the caller's arrays are empty afterwards. */
  transfer: z.boolean().optional(),
  /** A higher one goes first; each step is worth a second of waiting. */
  priority: z.number().int().min(-10).max(10).optional(),
  /** False: this request shares its run with no other. */
  batch: z.boolean().optional(),
})

export const cleanupSchema = z.strictObject({ maxAgeMs: durationMs })
export const shutdownSchema = z.strictObject({
  reason: z.string().min(1).default('shutdown'),
  timeoutMs: durationMs.optional(),
})
export const closeSchema = z.strictObject({ timeoutMs: durationMs.optional() })
export const modelNameSchema = name
export const resizeSchema = countOrAuto

/** What the life of an application needs, with a runtime or without. */
const lifecycleFields = {
  appName: z.string().min(1).default('tbcoin-engine').describe('name in log lines'),
  logLevel: logLevelSchema
    .default('info')
    .describe('least severe level that is logged; of a `logger` of your own it only sets what replicas send'),
  gracefulShutdownTimeoutMs: durationMs
    .default(30_000)
    .describe('time that a shutdown has unless it is told otherwise'),
}

/** What `new LifecycleManager` takes beside the logger. */
export const lifecycleSchema = z.strictObject({
  ...lifecycleFields,
  handleSignals: z
    .boolean()
    .default(true)
    .describe('shut down, and end the process, at [signals](#signals) and at an error nobody handles'),
})

export const runtimeSchema = z.strictObject({
  ...lifecycleFields,
  handleSignals: z
    .boolean()
    .default(false)
    .describe('close, and end the process, at [signals](#signals) and at an error nobody handles'),
  modelDir: fileOrUrl
    .optional()
    .describe('the [model directory](#the-model-directory); nothing is scanned without it'),
  loaders: z.record(z.string().min(1), loaderModule).default({}).meta({
    type: 'object of paths or file URLs',
    description: 'modules of [custom loaders](#custom-loaders), by model type',
  }),
  models: z.array(loadModelSchema).default([]).meta({
    type: 'array of what `loadModel` takes',
    description: 'versions to load at the start, before those of `modelDir`',
  }),
  onLoadError: z
    .enum(['throw', 'degrade'])
    .default('throw')
    .describe(
      'what a model that cannot be loaded at the start does: reject `createRuntime`, or be logged and left out',
    ),
  replicas: countOrAuto
    .default('auto')
    .describe('worker threads of each version; `auto` is as many as [the cores allow](#replicas)'),
  processes: countOrAuto
    .default('auto')
    .describe('processes that share the cores; `auto` counts cluster workers and pm2 instances'),
  intraOpNumThreads: count
    .max(1024)
    .default(1)
    .describe('threads inside one run; `replicas` that are `auto` are fewer by that factor'),
  maxConcurrentLoads: count
    .default(1)
    .describe(
      'loads that may run at the same time; one that takes longer than the size of its model explains is not counted any more',
    ),
  maxQueue: z
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe('requests that may wait for one version; more are refused'),
  maxPackMs: durationMs
    .max(10_000)
    .default(2)
    .describe(
      'requests that run one after another travel together for as long as they take so long; 0 is never',
    ),
  maxPackBytes: count
    .default(2 ** 21)
    .meta({ type: 'bytes' })
    .describe(
      'and not more of them than have so many bytes, of inputs and answers; a larger one travels alone, and a batch may have four times as many',
    ),
  batching: batching.default('auto').meta({
    type: '`auto`, `off` or [object](#batching)',
    description:
      'whether requests may share runs, once it is proven that each is answered as if alone; custom loaders only where their model asks for it',
  }),
  cacheDir: fileOrUrl
    .optional()
    .describe("where artifacts are kept, for all processes; by default a folder in the user's cache folder"),
  probe: probe
    .default('child')
    .describe(
      '`child`: a file that is not known is loaded by another process first, so that one that crashes onnxruntime is refused',
    ),
  artifacts: artifacts.default('auto').meta({
    type: '`auto`, `off` or [object](#artifacts)',
    description: 'whether models are made into a form whose weights all replicas share, where that is proven',
  }),
  memory: memoryOptionsSchema.prefault({}).meta({
    type: '[object](#memory)',
    description: 'what is done so that memory goes back to the system',
  }),
  stuckAfterMs: durationMs
    .default(60_000)
    .describe('a run that takes longer puts its replica in quarantine; 0 is never'),
  loadTimeoutMs: durationMs
    .default(120_000)
    .describe('a load, or a warm-up, that takes longer fails; 0 is never'),
  modelCleanupIntervalMs: durationMs
    .default(3_600_000)
    .describe(
      'how often all versions are looked through for idle ones, beside the time at which each becomes so; 0 is neither',
    ),
  modelIdleMs: durationMs.default(0).describe('a version that is unused for so long is evicted; 0 is never'),
  swapStrategy: swapStrategy
    .default('parallel')
    .describe(
      '`parallel`: the old version serves until the new one is loaded; `resource-preserving`: it is drained first, so that both are never in memory, and requests [wait](#hot-swap)',
    ),
  standbyMs: durationMs.default(0).describe('how long a replaced version keeps its pool'),
  drainTimeoutMs: durationMs
    .default(30_000)
    .describe('how long a version that is being stopped waits for its requests'),
  exitWaitMs: durationMs
    .default(5_000)
    .describe('how long an ending process waits for native calls to return'),
  crashBudget: z
    .number()
    .int()
    .min(0)
    .default(5)
    .describe('replica deaths within `crashWindowMs` that a version survives; one more puts it into `error`'),
  crashWindowMs: durationMs.default(60_000).describe('the time over which deaths are counted'),
  restartBackoffMs: durationMs
    .default(100)
    .describe('wait before a dead replica is replaced; doubles with each further death'),
  maxRestartBackoffMs: durationMs
    .default(5_000)
    .describe('the longest such wait, and how long requests do not try a failed load again'),
  controlTimeoutMs: durationMs
    .default(1_000)
    .describe('how long `replicas()` of a handle waits for an answer'),
  niceIncrement: z
    .number()
    .int()
    .min(0)
    .max(19)
    .default(5)
    .describe('added to the niceness of replica threads, so that they do not starve the event loop'),
  replicaEntry: fileOrUrl.optional().describe('the replica entry, for [bundlers](#bundlers) that move it'),
  builderEntry: fileOrUrl
    .optional()
    .describe("the artifact builder's entry, for [bundlers](#bundlers) that move it"),
  builderExecPath: fileOrUrl
    .optional()
    .describe(
      'the Node that runs the artifact builder, for [single executables](#single-executables); by default the one that runs this process',
    ),
  replicaExecArgv: z
    .array(z.string())
    .optional()
    .describe('Node options of replica threads; none by default'),
  replicaEnv: z
    .record(z.string(), z.string())
    .optional()
    .describe('environment of replica threads; by default that of the process without `NODE_OPTIONS`'),
  allowWorkerThread: z
    .boolean()
    .default(false)
    .describe('allow a runtime outside the main thread, where no exit hook protects the process'),
})

/** What `createRuntime` takes beside the logger; every field has a default. */
export type RuntimeConfigInput = z.input<typeof runtimeSchema>
export type ShutdownRequest = z.input<typeof shutdownSchema>
export type LifecycleOptions = z.input<typeof lifecycleSchema>
export type RuntimeConfig = Readonly<z.output<typeof runtimeSchema>>
export type ModelConfigInput = z.input<typeof modelConfigSchema>
export type ModelConfig = Readonly<z.output<typeof modelConfigSchema>>
export type LoadModelOptions = z.input<typeof loadModelSchema>
export type HotSwapOptions = z.input<typeof hotSwapSchema>
export type PredictOptions = z.input<typeof predictOptionsSchema>

export { modelConfigSchema }
