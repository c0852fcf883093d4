import { parseArgs } from 'node:util'

/** Reads `--name N` options; each has a default and must be a positive number. */
export function numberOptions<Name extends string>(
  args: readonly string[],
  defaults: Readonly<Record<Name, number>>,
): Record<Name, number> {
  const names = Object.keys(defaults) as Name[]
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
  })
  const numbers: Record<Name, number> = { ...defaults }
  for (const name of names) {
    const text = (values as Partial<Record<string, string>>)[name]
    if (text === undefined) continue
    const value = Number(text)
    if (!(value > 0)) throw new Error(`--${name} is ${text}; it should be a number above 0`)
    numbers[name] = value
  }
  return numbers
}
