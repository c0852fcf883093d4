import { z } from 'zod'
import { errors } from './errors.js'

const MAX_TIMER_MS = 2_147_483_647
export const durationMs = z.number().min(0).max(MAX_TIMER_MS)
const count = z.number().int().min(1)
const name = z
  .string()
  .min(1)
  .max(200)
  .refine((value) => !/[/\\\0]/.test(value) && value !== '.' && value !== '..', {
    message: 'must be usable as a folder name: no slash, backslash or NUL',
  })
export const logLevelSchema = z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'])
const fileOrUrl = z.union([z.string().min(1), z.instanceof(URL)])

const sample = z.strictObject({
  /** A valid input of the model; run on every replica before it serves. */
  input: z.record(z.string(), z.unknown()),
  /** What the model must answer to it. */
  output: z.record(z.string(), z.unknown()).optional(),
  rtol: z.number().min(0).default(1e-3),
  atol: z.number().min(0).default(1e-5),
})

/** Settings of one model; each falls back to the runtime's setting of the same name. */
const modelConfigSchema = z.strictObject({
  /** Worker threads of each version. */
  replicas: z.union([z.literal('auto'), count.max(1024)]).optional(),
  /** Threads inside one run. Replicas times this should not exceed the cores. */
  intraOpNumThreads: count.max(1024).optional(),
  /** Passed to `InferenceSession.create`, over the defaults of this library. */
  sessionOptions: z.record(z.string(), z.unknown()).optional(),
  /** onnxruntime's execution providers, best first. */
  executionProviders: z.array(z.unknown()).min(1).optional(),
  /** Handed to a custom loader as it is; must be structured-cloneable. */
  loaderOptions: z.unknown().optional(),
  maxQueue: z.number().int().min(0).optional(),
  stuckAfterMs: durationMs.optional(),
  modelIdleMs: durationMs.optional(),
  standbyMs: durationMs.optional(),
  drainTimeoutMs: durationMs.optional(),
  sample: sample.optional(),
})

export const loadModelSchema = z.strictObject({
  name,
  version: name,
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
})

export const cleanupSchema = z.strictObject({ maxAgeMs: durationMs })
export const closeSchema = z.strictObject({ timeoutMs: durationMs.optional() })
export const modelNameSchema = name

/** What the life of an application needs, with a runtime or without. */
const lifecycleFields = {
  /** Name in log lines. */
  appName: z.string().min(1).default('tbcoin-engine'),
  /** Least severe level that is logged. */
  logLevel: logLevelSchema.default('info'),
  /** Time that a shutdown has unless it is told otherwise. */
  gracefulShutdownTimeoutMs: durationMs.default(30_000),
}

/** What `new LifecycleManager` takes beside the logger. */
export const lifecycleSchema = z.strictObject({
  ...lifecycleFields,
  /** Shut down, and end the process, at SIGTERM, SIGINT, SIGHUP, SIGQUIT and at an error nobody handles. */
  handleSignals: z.boolean().default(true),
})

export const runtimeSchema = z.strictObject({
  ...lifecycleFields,
  /** Close, and end the process, at SIGTERM, SIGINT, SIGHUP, SIGQUIT and at an error nobody handles. */
  handleSignals: z.boolean().default(false),
  /** Folder of `<name>/<version>/model.onnx`; nothing is scanned without it. */
  modelDir: fileOrUrl.optional(),
  /** Modules that load models of other types than `onnx`, by type; see `registerModelLoader`. */
  loaders: z.record(z.string().min(1), fileOrUrl).default({}),
  /** Models to load at the start, beside those of `modelDir`. */
  models: z.array(loadModelSchema).default([]),
  /** What a model that fails at the start does: reject `createRuntime`, or be reported and left out. */
  onLoadError: z.enum(['throw', 'degrade']).default('throw'),
  /** Worker threads of each version; `auto` is one per usable core. */
  replicas: z.union([z.literal('auto'), count.max(1024)]).default('auto'),
  /** Threads inside one run. */
  intraOpNumThreads: count.max(1024).default(1),
  /** Loads that may run at the same time in this process. */
  maxConcurrentLoads: count.default(1),
  /** Requests that may wait for one version; more are refused. */
  maxQueue: z.number().int().min(0).default(10_000),
  /** A run that takes longer puts its replica in quarantine; 0 is never. */
  stuckAfterMs: durationMs.default(60_000),
  /** A load that takes longer fails; 0 is never. */
  loadTimeoutMs: durationMs.default(120_000),
  /** How often idle versions are looked for; 0 is never. */
  modelCleanupIntervalMs: durationMs.default(3_600_000),
  /** A version unused for this long gives its pool back; 0 is never. */
  modelIdleMs: durationMs.default(0),
  /** How long a replaced version is kept warm. */
  standbyMs: durationMs.default(0),
  /** How long a version that is being stopped waits for its requests. */
  drainTimeoutMs: durationMs.default(30_000),
  /** How long an ending process waits for native calls to return. */
  exitWaitMs: durationMs.default(5_000),
  /** Replica deaths within `crashWindowMs` a version survives; one more ends it in `error`. */
  crashBudget: z.number().int().min(0).default(5),
  crashWindowMs: durationMs.default(60_000),
  /** Wait before the first replacement of a dead replica; doubles with each further death. */
  restartBackoffMs: durationMs.default(100),
  maxRestartBackoffMs: durationMs.default(5_000),
  /** How long a question to a replica may take. */
  controlTimeoutMs: durationMs.default(1_000),
  /** Added to the niceness of replica threads, so that they do not starve the event loop. */
  niceIncrement: z.number().int().min(0).max(19).default(5),
  /** URL of the replica entry, for bundlers that move it. */
  replicaEntry: fileOrUrl.optional(),
  /** Node options of replica threads; the host's own are not handed on. */
  replicaExecArgv: z.array(z.string()).optional(),
  /** Environment of replica threads; by default the host's without NODE_OPTIONS. */
  replicaEnv: z.record(z.string(), z.string()).optional(),
  /** Allow a runtime outside the main thread, where no exit hook protects the process. */
  allowWorkerThread: z.boolean().default(false),
})

/** What `createRuntime` takes beside the logger; every field has a default. */
export type RuntimeConfigInput = z.input<typeof runtimeSchema>
export type LifecycleOptions = z.input<typeof lifecycleSchema>
export type RuntimeConfig = Readonly<z.output<typeof runtimeSchema>>
export type ModelConfigInput = z.input<typeof modelConfigSchema>
export type ModelConfig = Readonly<z.output<typeof modelConfigSchema>>
export type LoadModelOptions = z.input<typeof loadModelSchema>
export type HotSwapOptions = z.input<typeof hotSwapSchema>
export type PredictOptions = z.input<typeof predictOptionsSchema>

export { modelConfigSchema }

/**
 * Validates `input` and fills in defaults.
 * @throws ERR_INVALID_OPTIONS naming for every mistake the path, the value and the rule.
 */
export function parseOptions<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const mistakes = result.error.issues.map((issue) => describeIssue(issue, input))
  throw new errors.ERR_INVALID_OPTIONS(`${what}: ${mistakes.join('; ')}`)
}

export function describeIssue(issue: z.core.$ZodIssue, input: unknown): string {
  let value: unknown = input
  for (const key of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  const path = issue.path.map(String).join('.')
  const where = path === '' ? 'the value' : `\`${path}\``
  if (issue.code === 'unrecognized_keys') {
    return `${path === '' ? 'it' : where} has no option ${issue.keys.map((key) => `\`${key}\``).join(', ')}`
  }
  return `${where} is ${show(value)}: ${ruleOf(issue)}`
}

/** Of a union the rule of each alternative: "Invalid input" tells nobody anything. */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message
  const rules = issue.errors.flatMap((alternative) => alternative.map(ruleOf))
  return [...new Set(rules)].join(', or: ')
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? `an array of ${value.length}` : 'an object'
}
