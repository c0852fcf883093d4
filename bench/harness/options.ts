import { parseArgs } from 'node:util'

/** What `--name TEXT` may say, and what holds without it. */
export interface BenchOption<Value> {
  readonly default: Value
  /** The value, or undefined if the text is none. */
  parse(text: string): Value | undefined
  /** What it should be, for a message. */
  readonly rule: string
}

/** A number above 0. */
export function number(byDefault: number): BenchOption<number> {
  return { default: byDefault, parse: positive, rule: 'a number above 0' }
}

/** Numbers above 0 with commas between. */
export function numbers(byDefault: readonly number[]): BenchOption<readonly number[]> {
  return {
    default: byDefault,
    parse: (text) => {
      const values = text.split(',').map(positive)
      return values.includes(undefined) ? undefined : (values as number[])
    },
    rule: 'numbers above 0 with commas between',
  }
}

/** Some of `known`, with commas between. */
export function words<Word extends string>(
  known: readonly Word[],
  byDefault: readonly Word[] = known,
): BenchOption<readonly Word[]> {
  return {
    default: byDefault,
    parse: (text) => {
      const values = text.split(',') as Word[]
      return values.every((value) => known.includes(value)) ? values : undefined
    },
    rule: `some of ${known.join(', ')} with commas between`,
  }
}

/** Reads `--name TEXT` options; a name that is not among them is refused. */
export function readOptions<Values extends object>(
  args: readonly string[],
  options: { readonly [Name in keyof Values]: BenchOption<Values[Name]> },
): Values {
  const names = Object.keys(options) as (keyof Values & string)[]
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
  })
  const read: Partial<Values> = {}
  for (const name of names) {
    const option = options[name]
    const text = (values as Partial<Record<string, string>>)[name]
    const value = text === undefined ? option.default : option.parse(text)
    if (value === undefined) throw new Error(`--${name} is ${text}; it should be ${option.rule}`)
    read[name] = value
  }
  return read as Values
}

/** Reads `--name N` options; each has a default and must be a positive number. */
export function numberOptions<Name extends string>(
  args: readonly string[],
  defaults: Readonly<Record<Name, number>>,
): Record<Name, number> {
  const names = Object.keys(defaults) as Name[]
  const options = Object.fromEntries(names.map((name) => [name, number(defaults[name])]))
  return readOptions(args, options as Record<Name, BenchOption<number>>)
}

function positive(text: string): number | undefined {
  const value = Number(text)
  return value > 0 ? value : undefined
}
