import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { errors, messageOf } from '../errors/errors.js'
import { nearestName } from '../text/nearest-name.js'
import { parseJson } from '../text/parse-json.js'
import { describeIssue } from './describe-issue.js'
import { type RuntimeConfig, type RuntimeConfigInput, runtimeSchema } from './runtime-options.js'

/** Sources of settings beside the options object. */
export interface ConfigSources {
  /** A JSON file; defaults to the one that `TBCOIN_CONFIG_FILE` names, if it is set. */
  readonly file?: string | URL | undefined
  /** Environment variables; defaults to those of the process. */
  readonly env?: Environment | undefined
}

/** All settings of a runtime: validated, with defaults filled in, and frozen. */
export type LifecycleConfig = RuntimeConfig

type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'TBCOIN_'
const FILE_VARIABLE = 'TBCOIN_CONFIG_FILE'
/** Variables that Kubernetes sets in every pod for a service whose name begins with `tbcoin-`. */
const KUBERNETES_VARIABLE = /_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)/

/** Environment variables whose names begin like settings but are none. */
export interface UnknownVariables {
  readonly variables: readonly string[]
  /** The settings that were probably meant, by variable; variables that resemble no setting are left out. */
  readonly suggestions: Readonly<Record<string, string>>
}

/** The settings of one source. */
interface Layer {
  readonly values: Readonly<Record<string, unknown>>
  /** The source, as error messages name it. */
  readonly source: string
  /** Returns the name of a setting in this source; undefined if it is the option's name. */
  readonly nameOf?: (key: string) => string
}

export const LifecycleConfig = {
  /**
   * Returns the settings of an options object, a JSON file and environment variables. Later sources win; a
   * value is replaced whole, not merged. The variable of `modelDir` is `TBCOIN_MODEL_DIR`; non-string values
   * are written as JSON, as in `TBCOIN_MODELS='[{"name":"vad","version":"6"}]'`, and empty variables are
   * ignored.
   * @throws ERR_INVALID_OPTIONS if a source is not valid; its message names the source, the value and the
   * rule of every mistake.
   */
  load(options: RuntimeConfigInput = {}, sources: ConfigSources = {}): LifecycleConfig {
    const env = sources.env ?? process.env
    const file = sources.file ?? textOf(env[FILE_VARIABLE])
    const layers: Layer[] = [{ values: options as Record<string, unknown>, source: 'the options' }]
    if (file !== undefined) layers.push(fileLayer(file))
    layers.push(environmentLayer(env))
    const mistakes = layers.flatMap(mistakesIn)
    if (mistakes.length > 0) throw new errors.ERR_INVALID_OPTIONS(mistakes.join('; '))
    const merged = Object.assign({}, ...layers.map(({ values }) => values)) as RuntimeConfigInput
    return freeze(runtimeSchema.parse(merged))
  },
}

function mistakesIn({ values, source, nameOf }: Layer): string[] {
  const result = runtimeSchema.safeParse(values)
  if (result.success) return []
  return result.error.issues.map((issue) => {
    const [key] = issue.path
    const where = nameOf === undefined || typeof key !== 'string' ? source : `${source}, ${nameOf(key)}`
    return `${where}: ${describeIssue(issue, values, runtimeSchema)}`
  })
}

function fileLayer(file: string | URL): Layer {
  const path = file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : file
  const source = `the file ${path}`
  try {
    const values: unknown = parseJson(readFileSync(path))
    return { values: values as Record<string, unknown>, source }
  } catch (cause) {
    throw new errors.ERR_INVALID_OPTIONS(`${source} cannot be read as JSON: ${messageOf(cause)}`, { cause })
  }
}

function environmentLayer(env: Environment): Layer {
  const values: Record<string, unknown> = {}
  for (const key of Object.keys(runtimeSchema.shape)) {
    const text = textOf(env[variableOf(key)])
    if (text !== undefined) values[key] = settingOf(key, text)
  }
  return { values, source: 'the environment', nameOf: variableOf }
}

/**
 * Returns the variables that begin with `TBCOIN_` and are no setting; undefined if there are none. Such a
 * variable is a mistake, or belongs to other software. Values are left out, since they may be secrets.
 */
export function unknownVariables(env: Environment = process.env): UnknownVariables | undefined {
  const known = [FILE_VARIABLE, ...Object.keys(runtimeSchema.shape).map(variableOf)]
  const isUnknown = (variable: string): boolean =>
    variable.startsWith(PREFIX) && !known.includes(variable) && !KUBERNETES_VARIABLE.test(variable)
  const variables = Object.keys(env).filter((name) => isUnknown(name) && textOf(env[name]) !== undefined)
  if (variables.length === 0) return undefined
  const suggestions: Record<string, string> = {}
  for (const variable of variables) {
    const meant = nearestName(variable, known)
    if (meant !== undefined) suggestions[variable] = meant
  }
  return { variables, suggestions }
}

/**
 * Returns the trimmed text of a variable; undefined if that is empty, since Compose files and shells pass an
 * unset variable as an empty one. Blanks and line ends around the text come from the file that it was written
 * in.
 */
function textOf(value: string | undefined): string | undefined {
  const text = value?.trim()
  return text === '' ? undefined : text
}

/** Returns the variable of a setting: TBCOIN_MODEL_DIR for `modelDir`. */
function variableOf(key: string): string {
  return PREFIX + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

/** Returns the text itself if the setting accepts it, else its value as JSON; both are tried in lower case too. */
function settingOf(key: string, text: string): unknown {
  const schema = (runtimeSchema.shape as Record<string, z.ZodType>)[key]
  const lower = text.toLowerCase()
  const meanings = [text, jsonOf(text), lower, jsonOf(lower)]
  const accepted = meanings.find((value) => value !== undefined && schema?.safeParse(value).success)
  return accepted ?? jsonOf(text) ?? text
}

/** Returns the value of a JSON text; undefined if the text is not JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/**
 * Freezes the objects that zod has made. Values that zod passes on unchanged, as a loader's options and the
 * data of a sample are, belong to the caller and stay as they are.
 */
function freeze(config: RuntimeConfig): RuntimeConfig {
  const { models, loaders, replicaExecArgv, replicaEnv } = config
  for (const model of models) Object.freeze(Object.freeze(model).config)
  for (const value of [models, loaders, replicaExecArgv, replicaEnv]) Object.freeze(value)
  return Object.freeze(config)
}
