import type { Rule } from '../trace/op.js'

export type Rules = ReadonlyMap<string, Rule>

/** Gives each of the operators in a list of names the same rule. */
export function rulesOf(...lists: readonly (readonly [names: string, rule: Rule])[]): Rules {
  return new Map(
    lists.flatMap(([names, rule]) =>
      names
        .trim()
        .split(/\s+/)
        .map((name) => [name, rule] as const),
    ),
  )
}
