import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { describeIssue, type RuntimeConfig, type RuntimeConfigInput, runtimeSchema } from './config.js'
import { errors, messageOf } from './errors.js'

/** Where settings come from beside the options object. */
export interface ConfigSources {
  /** A JSON file; by default the one that `TBCOIN_CONFIG_FILE` names, if it does. */
  readonly file?: string | URL | undefined
  /** Environment variables; by default those of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** Every setting of a runtime, checked, with defaults, frozen. */
export type LifecycleConfig = RuntimeConfig

const PREFIX = 'TBCOIN_'
const FILE_VARIABLE = 'TBCOIN_CONFIG_FILE'

/** The settings of one source: which, their values, and how an error calls each. */
interface Layer {
  readonly values: Readonly<Record<string, unknown>>
  readonly what: string
}

export const LifecycleConfig = {
  /**
   * Settings from an options object, over which go those of a JSON file, over which go environment
   * variables: `TBCOIN_MODEL_DIR` is `modelDir`. What is no text in JSON is written in JSON there:
   * `TBCOIN_MODELS='[{"name":"vad","version":"6"}]'`. Of a setting that two of them have, the
   * stronger one has it whole.
   * @throws ERR_INVALID_OPTIONS naming for every mistake in any of them where it is, the value and the rule.
   */
  load(options: RuntimeConfigInput = {}, sources: ConfigSources = {}): LifecycleConfig {
    const env = sources.env ?? process.env
    const file = sources.file ?? env[FILE_VARIABLE]
    const layers: Layer[] = [{ values: options as Record<string, unknown>, what: 'the options' }]
    if (file !== undefined) layers.push(fileLayer(file))
    layers.push(environmentLayer(env))
    const mistakes = layers.flatMap(mistakesIn)
    if (mistakes.length > 0) throw new errors.ERR_INVALID_OPTIONS(mistakes.join('; '))
    const merged = Object.assign({}, ...layers.map(({ values }) => values)) as RuntimeConfigInput
    return freeze(runtimeSchema.parse(merged))
  },
}

function mistakesIn({ values, what }: Layer): string[] {
  const result = runtimeSchema.safeParse(values)
  if (result.success) return []
  return result.error.issues.map((issue) => `${what}: ${describeIssue(issue, values)}`)
}

function fileLayer(file: string | URL): Layer {
  const path = file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : file
  const what = `the file ${path}`
  try {
    const values: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return { values: values as Record<string, unknown>, what }
  } catch (cause) {
    throw new errors.ERR_INVALID_OPTIONS(`${what} cannot be read as JSON: ${messageOf(cause)}`, { cause })
  }
}

function environmentLayer(env: Readonly<Record<string, string | undefined>>): Layer {
  const values: Record<string, unknown> = {}
  const unknown: string[] = []
  const keys = new Map(Object.keys(runtimeSchema.shape).map((key) => [variableOf(key), key]))
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || variable === FILE_VARIABLE || text === undefined) continue
    const key = keys.get(variable)
    if (key === undefined) unknown.push(`\`${variable}\` is ${JSON.stringify(text)}`)
    else values[key] = settingOf(key, text)
  }
  if (unknown.length > 0) {
    throw new errors.ERR_INVALID_OPTIONS(
      `the environment: ${unknown.join(', ')}: there is no such setting; known are ${FILE_VARIABLE}, ${[...keys.keys()].join(', ')}`,
    )
  }
  return { values, what: `the environment (${PREFIX}*)` }
}

/** `modelDir` is TBCOIN_MODEL_DIR. */
function variableOf(key: string): string {
  return PREFIX + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

/** The text itself where the setting takes it, else what it means in JSON. */
function settingOf(key: string, text: string): unknown {
  const schema = (runtimeSchema.shape as Record<string, z.ZodType>)[key]
  if (schema?.safeParse(text).success) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Plain objects and arrays all the way down; what is in them is the caller's own (a typed array of a sample, say). */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value
  for (const one of Object.values(value)) freeze(one)
  return Object.freeze(value)
}
