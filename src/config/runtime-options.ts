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
const LABEL_REQUIRED =
  'must be the label of its folder in `modelDir`, or a label of your choice for a `source`; the latest version of each model in `modelDir` is loaded at the start without being listed'
const label = z
  .string({ error: ({ input }) => (input === undefined ? LABEL_REQUIRED : undefined) })
  .pipe(name)
export const logLevelSchema = z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'])
const loaderModule = z.union([z.string().min(1), z.instanceof(URL)], {
  error:
    "must be the path or file URL of a module that exports `load`, for example new URL('./loader.js', import.meta.url); a function cannot be sent to a worker thread",
})
const fileOrUrl = z.union([z.string().min(1), z.instanceof(URL)]).meta({ type: 'path or file URL' })

export const loadModelSchema = z.strictObject({
  name,
  version: label,
  /** The type of a registered loader. */
  modelType: z.string().min(1).default('onnx'),
  /** Path or file URL; defaults to `<modelDir>/<name>/<version>/model.onnx`. */
  source: fileOrUrl.optional(),
  config: modelConfigSchema.prefault({}),
  /** True: the version becomes active once it is ready, even if another one is. */
  promote: z.boolean().default(false),
})

export const hotSwapSchema = z.strictObject({
  name,
  newVersion: name,
  /** The swap rejects unless this is the active version at the moment of the promotion. */
  oldVersion: name.optional(),
  modelType: z.string().min(1).optional(),
  source: fileOrUrl.optional(),
  config: modelConfigSchema.optional(),
})

export const predictOptionsSchema = z.strictObject({
  /** Sends the request to this version instead of the active one. */
  version: z.string().min(1).optional(),
  /** Rejects with ERR_DEADLINE_EXCEEDED after this time; the run itself cannot be cancelled. */
  timeoutMs: durationMs.optional(),
  /** Rejects with ERR_ABORTED when the signal aborts. */
  signal: z.instanceof(AbortSignal).optional(),
  /** Names of the outputs to compute; defaults to all. */
  outputs: z.array(z.string()).min(1).optional(),
  /** True: moves the input's buffers instead of copying them; the caller's arrays are empty afterwards. */
  transfer: z.boolean().optional(),
  /** Requests of higher priority run first; one step outweighs a second of waiting. */
  priority: z.number().int().min(-10).max(10).optional(),
  /** False: this request shares its run with no other request. */
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

/** Options of an application's lifecycle, with a runtime or without. */
const lifecycleFields = {
  appName: z.string().min(1).default('tbcoin-engine').describe('name in log lines'),
  logLevel: logLevelSchema
    .default('info')
    .describe('minimum log level; with a custom `logger` it applies only to messages from replicas'),
  gracefulShutdownTimeoutMs: durationMs.default(30_000).describe('default time budget of a shutdown'),
}

/** Options of `new LifecycleManager`, except the logger. */
export const lifecycleSchema = z.strictObject({
  ...lifecycleFields,
  handleSignals: z
    .boolean()
    .default(true)
    .describe('shuts down and ends the process on [signals](#signals) and on unhandled errors'),
})

export const runtimeSchema = z.strictObject({
  ...lifecycleFields,
  handleSignals: z
    .boolean()
    .default(false)
    .describe('closes and ends the process on [signals](#signals) and on unhandled errors'),
  modelDir: fileOrUrl
    .optional()
    .describe('the [model directory](#the-model-directory); without it no directory is scanned'),
  loaders: z.record(z.string().min(1), loaderModule).default({}).meta({
    type: 'object of paths or file URLs',
    description: 'modules of [custom loaders](#custom-loaders), by model type',
  }),
  models: z.array(loadModelSchema).default([]).meta({
    type: 'array of options of `loadModel`',
    description: 'versions to load at the start, before those of `modelDir`',
  }),
  onLoadError: z
    .enum(['throw', 'degrade'])
    .default('throw')
    .describe(
      'effect of a model that cannot be loaded at the start: `throw` rejects `createRuntime`, `degrade` logs it and leaves the model out',
    ),
  replicas: countOrAuto
    .default('auto')
    .describe('worker threads of each version; `auto` starts as many as [the cores allow](#replicas)'),
  processes: countOrAuto
    .default('auto')
    .describe('processes that share the cores; `auto` counts cluster workers and pm2 instances'),
  intraOpNumThreads: count
    .max(1024)
    .default(1)
    .describe('threads inside one run; `auto` `replicas` are divided by this number'),
  maxConcurrentLoads: count
    .default(1)
    .describe(
      'loads that may run at the same time; a load that takes longer than the size of its model explains no longer counts',
    ),
  maxQueue: z
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe('requests that may wait for one version; more are rejected'),
  maxPackMs: durationMs
    .max(10_000)
    .default(2)
    .describe(
      'upper bound on the expected run time of one pack (requests sent in one message and run one after another); 0 disables packing',
    ),
  maxPackBytes: count
    .default(2 ** 21)
    .meta({ type: 'bytes' })
    .describe(
      'upper bound on the bytes of one pack, inputs and outputs together; a larger request is sent alone, and a batch may have four times as many',
    ),
  batching: batching.default('auto').meta({
    type: '`auto`, `off` or [object](#batching)',
    description:
      'lets requests share runs, once it is proven that each gets the same outputs as it would alone; models of custom loaders must set it themselves',
  }),
  cacheDir: fileOrUrl
    .optional()
    .describe("the folder of artifacts, shared by all processes; defaults to one in the user's cache folder"),
  probe: probe
    .default('child')
    .describe(
      '`child`: another process loads an unknown file first, so that a file that crashes onnxruntime is rejected',
    ),
  artifacts: artifacts.default('auto').meta({
    type: '`auto`, `off` or [object](#artifacts)',
    description:
      '`auto`: models are converted to a form whose weights all replicas share, if that is proven to be safe',
  }),
  memory: memoryOptionsSchema.prefault({}).meta({
    type: '[object](#memory)',
    description: 'the memory budget, and how memory is returned to the system',
  }),
  stuckAfterMs: durationMs
    .default(60_000)
    .describe('time limit of a run; a replica that exceeds it is quarantined; 0 disables the limit'),
  loadTimeoutMs: durationMs
    .default(120_000)
    .describe('time limit of a load, and of a warm-up; 0 disables it'),
  modelCleanupIntervalMs: durationMs
    .default(3_600_000)
    .describe(
      'interval at which all versions are checked for idle ones, beside the check when each becomes idle; 0 disables both',
    ),
  modelIdleMs: durationMs
    .default(0)
    .describe('a version that is unused for this time is evicted; 0 disables it'),
  swapStrategy: swapStrategy
    .default('parallel')
    .describe(
      '`parallel`: the old version serves until the new one is loaded; `resource-preserving`: the old version is drained first, so that the two are never in memory together, and requests [wait](#hot-swap)',
    ),
  standbyMs: durationMs.default(0).describe('time that a replaced version keeps its pool'),
  drainTimeoutMs: durationMs
    .default(30_000)
    .describe('time limit for the open requests of a version that is stopped'),
  exitWaitMs: durationMs
    .default(5_000)
    .describe('time limit for native calls to return when the process ends'),
  crashBudget: z
    .number()
    .int()
    .min(0)
    .default(5)
    .describe(
      'replica crashes within `crashWindowMs` that a version survives; one more puts it into `error`',
    ),
  crashWindowMs: durationMs.default(60_000).describe('the time over which crashes are counted'),
  restartBackoffMs: durationMs
    .default(100)
    .describe('wait before a crashed replica is replaced; doubles with each further crash'),
  maxRestartBackoffMs: durationMs
    .default(5_000)
    .describe('the longest such wait, and the time for which requests do not retry a failed load'),
  controlTimeoutMs: durationMs
    .default(1_000)
    .describe('time limit for replies of replicas to `replicas()` of a handle'),
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
    .describe('the artifact builder entry, for [bundlers](#bundlers) that move it'),
  builderExecPath: fileOrUrl
    .optional()
    .describe(
      'the Node binary that runs the artifact builder, for [single executables](#single-executables); defaults to the one of this process',
    ),
  replicaExecArgv: z
    .array(z.string())
    .optional()
    .describe('Node options of replica threads; none by default'),
  replicaEnv: z
    .record(z.string(), z.string())
    .optional()
    .describe('environment of replica threads; defaults to that of the process without `NODE_OPTIONS`'),
  allowWorkerThread: z
    .boolean()
    .default(false)
    .describe('allows a runtime outside the main thread, where no exit hook protects the process'),
})

/** Options of `createRuntime`, except the logger; all have a default or are optional. */
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
