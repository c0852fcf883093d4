import type { z } from 'zod'
import { MAX_TIMER_MS } from '../src/config/runtime-options.js'
import { markdownTable } from './markdown-table.js'

/** One row of a table of options. */
export interface OptionRow {
  readonly option: string
  readonly type: string
  readonly default: string
  readonly meaning: string
}

interface Definition {
  readonly type: string
  readonly innerType?: z.ZodType
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
  readonly options?: readonly z.ZodType[]
  readonly entries?: Readonly<Record<string, string>>
  readonly values?: readonly unknown[]
}

/** Returns name, type, default and meaning of the options of a schema; nested options follow their parent. */
export function rowsOf(schema: z.ZodObject, prefix = ''): OptionRow[] {
  return Object.entries(schema.shape).flatMap(([key, field]) => {
    const option = field as z.ZodType
    const row: OptionRow = {
      option: `\`${prefix}${key}\``,
      type: typeOf(option),
      default: defaultOf(option),
      meaning: option.description ?? '',
    }
    const inner = definitionOf(option).innerType
    const isNested = inner !== undefined && 'shape' in inner
    return isNested ? [row, ...rowsOf(inner as z.ZodObject, `${prefix}${key}.`)] : [row]
  })
}

/** Returns the rows as a Markdown table. */
export function tableOf(rows: readonly OptionRow[]): string {
  return markdownTable([
    ['option', 'type', 'default', 'meaning'],
    ...rows.map((row) => [row.option, row.type, row.default, row.meaning]),
  ])
}

function definitionOf(schema: z.ZodType): Definition {
  return schema.def as unknown as Definition
}

function typeOf(schema: z.ZodType): string {
  const described = schema.meta()?.type
  if (typeof described === 'string') return described
  const { type, innerType, element, valueType, options, entries, values } = definitionOf(schema)
  if (innerType !== undefined) return typeOf(innerType)
  switch (type) {
    case 'number':
      return rangeOf(schema as z.ZodNumber)
    case 'enum':
      return listOf(Object.values(entries ?? {}).map((value) => `\`'${value}'\``))
    case 'literal':
      return `\`'${String(values?.[0])}'\``
    case 'union':
      return (options ?? []).map(typeOf).join(' or ')
    case 'array':
      return element === undefined || element.type === 'unknown' ? 'array' : `array of ${typeOf(element)}s`
    case 'record':
      return `record of ${typeOf(valueType as z.ZodType)}s`
    default:
      return type
  }
}

function rangeOf({ minValue, maxValue }: z.ZodNumber): string {
  if (maxValue === MAX_TIMER_MS) return 'milliseconds'
  const isBounded = maxValue !== null && maxValue < Number.MAX_SAFE_INTEGER
  return isBounded ? `${minValue} to ${maxValue}` : `${minValue} or more`
}

function listOf(values: readonly string[]): string {
  if (values.length < 2) return values.join('')
  return `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
}

function defaultOf(schema: z.ZodType): string {
  const empty = schema.safeParse(undefined)
  if (!empty.success) return 'required'
  if (empty.data === undefined) return 'none'
  const text = typeof empty.data === 'string' ? `'${empty.data}'` : JSON.stringify(empty.data)
  return `\`${text}\``
}
