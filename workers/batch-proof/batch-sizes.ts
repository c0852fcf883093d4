/** Sizes of batches whose costs are measured, in requests. */
const MEASURED = [2, 3, 8, 32, 128, 512]
/** Sizes between those that are tried once: kernels change their algorithms at powers of two, graphs anywhere. */
const BETWEEN = [4, 5, 6, 7, 9, 17, 33, 65, 129]
/** The smallest size that is enough for a proof. */
export const LEAST_SIZE = 3

/** Returns the sizes to measure, up to and including the largest. */
export function measuredSizes(largest: number): number[] {
  return [...MEASURED.filter((size) => size < largest), largest]
}

/** Returns the sizes between them that are tried, below a size that was proven. */
export function sizesBetween(proven: number): number[] {
  return BETWEEN.filter((size) => size < proven)
}

/** Returns all remaining sizes below a size that was proven. */
export function otherSizes(proven: number): number[] {
  const tried = [...MEASURED, ...BETWEEN]
  return Array.from({ length: proven }, (_, index) => index).filter(
    (size) => size > 1 && !tried.includes(size),
  )
}
