/**
 * A number in a shape, as a product: a known number, sizes that only have names, and the number of rows of
 * the batch, once or not at all. A size without the number of rows does not depend on it.
 */
export interface Size {
  readonly times: number
  readonly rows: boolean
  /** Sorted names; equal names stand for equal sizes. */
  readonly names: readonly string[]
}

/**
 * Prefix of the names of sizes that are the same in every request that shares a run, such as the dims of
 * shared inputs.
 */
const FIXED = '='

export const one: Size = known(1)
export const zero: Size = known(0)
/** The number of rows of the batch. */
export const rowCount: Size = { times: 1, rows: true, names: [] }

export function known(times: number): Size {
  return { times, rows: false, names: [] }
}

export function named(name: string, rows = false): Size {
  return { times: 1, rows, names: [name] }
}

/** Returns the size of an axis of an input that all rows share. */
export function fixedAxis(input: string, axis: number): Size {
  return named(`${FIXED}${input}.${axis}`)
}

/** Returns the number that a size is; undefined if it is not known. */
export function numberOf(size: Size | undefined): number | undefined {
  return size !== undefined && !size.rows && size.names.length === 0 ? size.times : undefined
}

export function isNumber(size: Size | undefined, number: number): boolean {
  return numberOf(size) === number
}

export function isSameSize(a: Size, b: Size): boolean {
  return a.times === b.times && a.rows === b.rows && a.names.join() === b.names.join()
}

/**
 * Returns true if a size is 1, or always the one that it has in the proof. The proof runs two and three
 * requests, and a size other than 1 does not broadcast with both.
 */
export function isOneOrFixed({ times, rows, names }: Size): boolean {
  return times === 1 && !rows && names.every((name) => name.startsWith(FIXED))
}

/** Returns the product of sizes; undefined if it would hold the number of rows twice, or a fraction of a size. */
export function product(sizes: readonly Size[]): Size | undefined {
  const times = sizes.reduce((all, size) => all * size.times, 1)
  const names = sizes.flatMap((size) => size.names).sort()
  const rows = sizes.filter((size) => size.rows).length
  if (times === 0) return zero
  const isPlain = names.length === 0 && rows === 0
  return rows > 1 || (!isPlain && !Number.isInteger(times)) ? undefined : { times, rows: rows === 1, names }
}

/** Returns the quotient of two sizes; undefined unless the division is known to leave no remainder. */
export function quotient(a: Size | undefined, b: Size | undefined): Size | undefined {
  if (a === undefined || b === undefined) return undefined
  const times = a.times / b.times
  const names = [...a.names]
  for (const name of b.names) {
    const at = names.indexOf(name)
    if (at === -1) return undefined
    names.splice(at, 1)
  }
  if (!Number.isInteger(times) || (b.rows && !a.rows)) return undefined
  return { times, rows: a.rows && !b.rows, names }
}
