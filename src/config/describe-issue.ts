import { z } from 'zod'
import { nearestName } from '../text/nearest-name.js'

/**
 * Describes a mistake that a schema found in `input`: its path, the value, and the rule or the name that was
 * meant.
 */
export function describeIssue(issue: z.core.$ZodIssue, input: unknown, schema: z.ZodType): string {
  let value: unknown = input
  for (const key of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  const path = issue.path.map(String).join('.')
  const where = path === '' ? 'the value' : `\`${path}\``
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => `\`${key}\`${hint(key, issue.path, schema)}`)
    return `${path === '' ? 'it' : where} has no option ${keys.join(', ')}`
  }
  return `${where} is ${show(value)}: ${ruleOf(issue)}`
}

/** Zod's message for a union without a message of its own. */
const DEFAULT_UNION_MESSAGE = 'Invalid input'

type Shape = Readonly<Record<string, z.ZodType>>

/** Returns the option with a similar name, or one of the same name in an object inside this one or around it. */
function hint(key: string, path: readonly PropertyKey[], schema: z.ZodType): string {
  const options = shapeAt(schema, path)
  const meant = nearestName(key, Object.keys(options)) ?? pathTo(key, options)
  if (meant !== undefined) return ` (did you mean \`${meant}\`?)`
  for (let depth = path.length - 1; depth >= 0; depth -= 1) {
    if (!Object.hasOwn(shapeAt(schema, path.slice(0, depth)), key)) continue
    return ` (did you mean \`${key}\` beside \`${path
      .slice(0, depth + 1)
      .map(String)
      .join('.')}\`?)`
  }
  return ''
}

/** Returns the path of the option called `key` that is nearest to the top. */
function pathTo(key: string, options: Shape): string | undefined {
  const groups: [path: string, options: Shape][] = [['', options]]
  for (const [path, shape] of groups) {
    if (Object.hasOwn(shape, key)) return path + key
    for (const [name, schema] of Object.entries(shape)) {
      const plain = unwrapped(schema)
      if (plain instanceof z.ZodArray) groups.push([`${path}${name}[].`, shapeOf(plain.element as z.ZodType)])
      else groups.push([`${path}${name}.`, shapeOf(plain)])
    }
  }
  return undefined
}

/** Returns the options of the object at `path`. */
function shapeAt(schema: z.ZodType, path: readonly PropertyKey[]): Shape {
  let at: z.ZodType | undefined = schema
  for (const key of path) {
    const plain: z.ZodType | undefined = at && unwrapped(at)
    at = plain instanceof z.ZodArray ? (plain.element as z.ZodType) : plain && shapeOf(plain)[String(key)]
  }
  return at === undefined ? {} : shapeOf(at)
}

function shapeOf(schema: z.ZodType): Shape {
  const plain = unwrapped(schema)
  return plain instanceof z.ZodObject ? (plain.shape as Shape) : {}
}

/** Returns the schema without the wrappers that make it optional or set a default; of a union its object. */
function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodUnion) {
    const options = (schema.options as readonly z.ZodType[]).map(unwrapped)
    return options.find((option) => option instanceof z.ZodObject) ?? schema
  }
  const { innerType } = schema.def as { innerType?: z.ZodType }
  return innerType === undefined ? schema : unwrapped(innerType)
}

/**
 * Returns the rule that was broken; for a union without a message of its own the rules of all alternatives,
 * since "Invalid input" names none. Cuts off the value, which the caller names beside the rule.
 */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union' || issue.message !== DEFAULT_UNION_MESSAGE) {
    return issue.message.replace(/^Invalid (?:input|option): (.*?)(?:, received .*)?$/, '$1')
  }
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
