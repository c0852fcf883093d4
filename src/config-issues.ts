import { z } from 'zod'
import { nearestName } from './nearest-name.js'

/** A mistake that a schema has found in `input`: where it is, the value, and the rule or the name that was meant. */
export function describeIssue(issue: z.core.$ZodIssue, input: unknown, schema: z.ZodType): string {
  let value: unknown = input
  for (const key of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  const path = issue.path.map(String).join('.')
  const where = path === '' ? 'the value' : `\`${path}\``
  if (issue.code === 'unrecognized_keys') {
    const options = shapeAt(schema, issue.path)
    const keys = issue.keys.map((key) => `\`${key}\`${hint(key, options)}`)
    return `${path === '' ? 'it' : where} has no option ${keys.join(', ')}`
  }
  return `${where} is ${show(value)}: ${ruleOf(issue)}`
}

/** The message that zod gives a union which has none of its own. */
const UNTOLD = 'Invalid input'

type Shape = Readonly<Record<string, z.ZodType>>

/** The option that is called almost so, or the one of another group that is called so. */
function hint(key: string, options: Shape): string {
  const near = nearestName(key, Object.keys(options))
  if (near !== undefined) return ` (did you mean \`${near}\`?)`
  const group = Object.keys(options).find((name) => Object.hasOwn(shapeOf(options[name] as z.ZodType), key))
  return group === undefined ? '' : ` (did you mean \`${group}.${key}\`?)`
}

/** Returns the options of the object there. */
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

/** Returns the schema without what makes it optional or gives it a default, and the object in a union. */
function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodUnion) {
    const options = (schema.options as readonly z.ZodType[]).map(unwrapped)
    return options.find((option) => option instanceof z.ZodObject) ?? schema
  }
  const { innerType } = schema.def as { innerType?: z.ZodType }
  return innerType === undefined ? schema : unwrapped(innerType)
}

/** Returns the rule; for a union without a message that of each alternative: "Invalid input" tells nobody anything. */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union' || issue.message !== UNTOLD) return issue.message
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
