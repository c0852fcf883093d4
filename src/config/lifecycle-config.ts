import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { errors, messageOf } from '../errors/errors.js'
import { nearestName } from '../text/nearest-name.js'
import { parseJson } from '../text/parse-json.js'
import { describeIssue } from './describe-issue.js'
import { type RuntimeConfig, type RuntimeConfigInput, runtimeSchema } from './runtime-options.js'

/** Where settings come from beside the options object. */
export interface ConfigSources {
  /** A JSON file; by default the one that `TBCOIN_CONFIG_FILE` names, if it does. */
  readonly file?: string | URL | undefined
  /** Environment variables; by default those of the process. */
  readonly env?: Environment | undefined
}

/** Every setting of a runtime, checked, with defaults, frozen. */
export type LifecycleConfig = RuntimeConfig

type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'TBCOIN_'
const FILE_VARIABLE = 'TBCOIN_CONFIG_FILE'
/** What Kubernetes gives every pod beside a service that is called `tbcoin-…`. */
const ofKubernetes = /_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)/

/** Names in the environment that look like settings, and are none. */
export interface UnknownVariables {
  readonly variables: readonly string[]
  readonly warning: string
}

/** The settings of one source: which, their values, and how an error calls each. */
interface Layer {
  readonly values: Readonly<Record<string, unknown>>
  readonly what: string
  /** How a setting is called there, where that is another name. */
  readonly nameOf?: (key: string) => string
}

export const LifecycleConfig = {
  /**
   * Settings from an options object, over which go those of a JSON file, over which go environment
   * variables that are not empty: `TBCOIN_MODEL_DIR` is `modelDir`. What is no text in JSON is written in JSON there:
   * `TBCOIN_MODELS='[{"name":"vad","version":"6"}]'`. Of a setting that two of them have, the
   * stronger one has it whole.
   * @throws ERR_INVALID_OPTIONS naming for every mistake in any of them where it is, the value and the rule.
   */
  load(options: RuntimeConfigInput = {}, sources: ConfigSources = {}): LifecycleConfig {
    const env = sources.env ?? process.env
    const file = sources.file ?? textOf(env[FILE_VARIABLE])
    const layers: Layer[] = [{ values: options as Record<string, unknown>, what: 'the options' }]
    if (file !== undefined) layers.push(fileLayer(file))
    layers.push(environmentLayer(env))
    const mistakes = layers.flatMap(mistakesIn)
    if (mistakes.length > 0) throw new errors.ERR_INVALID_OPTIONS(mistakes.join('; '))
    const merged = Object.assign({}, ...layers.map(({ values }) => values)) as RuntimeConfigInput
    return freeze(runtimeSchema.parse(merged))
  },
}

function mistakesIn({ values, what, nameOf }: Layer): string[] {
  const result = runtimeSchema.safeParse(values)
  if (result.success) return []
  return result.error.issues.map((issue) => {
    const [key] = issue.path
    const where = nameOf === undefined || typeof key !== 'string' ? what : `${what}, ${nameOf(key)}`
    return `${where}: ${describeIssue(issue, values, runtimeSchema)}`
  })
}

function fileLayer(file: string | URL): Layer {
  const path = file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : file
  const what = `the file ${path}`
  try {
    const values: unknown = parseJson(readFileSync(path))
    return { values: values as Record<string, unknown>, what }
  } catch (cause) {
    throw new errors.ERR_INVALID_OPTIONS(`${what} cannot be read as JSON: ${messageOf(cause)}`, { cause })
  }
}

function environmentLayer(env: Environment): Layer {
  const values: Record<string, unknown> = {}
  for (const key of Object.keys(runtimeSchema.shape)) {
    const text = textOf(env[variableOf(key)])
    if (text !== undefined) values[key] = settingOf(key, text)
  }
  return { values, what: 'the environment', nameOf: variableOf }
}

/**
 * Variables that begin like ours and are no setting: a mistake, or somebody else's, whose name begins alike.
 * Undefined if there are none. Their values are not told, which may be secrets.
 */
export function unknownVariables(env: Environment = process.env): UnknownVariables | undefined {
  const known = [FILE_VARIABLE, ...Object.keys(runtimeSchema.shape).map(variableOf)]
  const isUnknown = (variable: string): boolean =>
    variable.startsWith(PREFIX) && !known.includes(variable) && !ofKubernetes.test(variable)
  const variables = Object.keys(env).filter((name) => isUnknown(name) && textOf(env[name]) !== undefined)
  if (variables.length === 0) return undefined
  const told = variables.map((variable) => {
    const meant = nearestName(variable, known)
    return meant === undefined ? variable : `${variable} (did you mean ${meant}?)`
  })
  return { variables, warning: `environment variables that are no setting are ignored: ${told.join(', ')}` }
}

/**
 * The text of a variable; undefined for one that is empty, which is how Compose files and shells pass a
 * variable that is not set. Blanks and line ends around it come from the file that it was written in.
 */
function textOf(value: string | undefined): string | undefined {
  const text = value?.trim()
  return text === '' ? undefined : text
}

/** `modelDir` is TBCOIN_MODEL_DIR. */
function variableOf(key: string): string {
  return PREFIX + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

/** The text itself where the setting takes it, else what it means in JSON, in lower case if need be. */
function settingOf(key: string, text: string): unknown {
  const schema = (runtimeSchema.shape as Record<string, z.ZodType>)[key]
  const lower = text.toLowerCase()
  const meanings = [text, jsonOf(text), lower, jsonOf(lower)]
  const accepted = meanings.find((value) => value !== undefined && schema?.safeParse(value).success)
  return accepted ?? jsonOf(text) ?? text
}

/** Undefined if it is not JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** What zod has made; what callers hand over as it is (options of a loader, data of a sample) stays theirs. */
function freeze(config: RuntimeConfig): RuntimeConfig {
  const { models, loaders, replicaExecArgv, replicaEnv } = config
  for (const model of models) Object.freeze(Object.freeze(model).config)
  for (const made of [models, loaders, replicaExecArgv, replicaEnv]) Object.freeze(made)
  return Object.freeze(config)
}
