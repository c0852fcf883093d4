import { parseArgs } from 'node:util'

/** One option `--name TEXT` of the command line. */
export interface BenchOption<Value> {
  readonly default: Value
  /** Returns the value, or undefined if `text` is not valid. */
  parse(text: string): Value | undefined
  /** Valid values, for the error message. */
  readonly rule: string
}

/** Returns an option whose value is a number above 0. */
export function number(byDefault: number): BenchOption<number> {
  return { default: byDefault, parse: positive, rule: 'a number above 0' }
}

/** Returns an option whose value is a comma-separated list of numbers above 0. */
export function numbers(byDefault: readonly number[]): BenchOption<readonly number[]> {
  return {
    default: byDefault,
    parse: (text) => {
      const values = text.split(',').map(positive)
      return values.includes(undefined) ? undefined : (values as number[])
    },
    rule: 'a comma-separated list of numbers above 0',
  }
}

/** Returns an option whose value is a comma-separated list of words of `known`; `aliases` maps older words to those. */
export function words<Word extends string>(
  known: readonly Word[],
  byDefault: readonly Word[] = known,
  aliases: Readonly<Record<string, Word>> = {},
): BenchOption<readonly Word[]> {
  return {
    default: byDefault,
    parse: (text) => {
      const values = text.split(',').map((word) => aliases[word] ?? word) as Word[]
      return values.every((value) => known.includes(value)) ? values : undefined
    },
    rule: `a comma-separated list of ${known.join(', ')}`,
  }
}

/** Returns the values of `--name TEXT` options; throws if a name is unknown or a value is not valid. */
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

/** Returns the values of `--name N` options, which are positive numbers with defaults. */
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
