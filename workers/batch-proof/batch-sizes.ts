/** Sizes of batches whose costs are measured, in requests. */
const MEASURED = [2, 3, 8, 32, 128, 512]
/** Sizes between that are tried once: kernels change their ways at powers of two, graphs anywhere. */
const BETWEEN = [4, 5, 6, 7, 9, 17, 33, 65, 129]
/** The largest that must be proven: below that nothing is. */
export const LEAST_SIZE = 3

/** Returns the sizes up to the largest, which is among them. */
export function measuredSizes(largest: number): number[] {
  return [...MEASURED.filter((size) => size < largest), largest]
}

/** Returns other sizes that are tried up to one that was proven. */
export function sizesBetween(proven: number): number[] {
  return BETWEEN.filter((size) => size < proven)
}

/** Returns all that are left. */
export function otherSizes(proven: number): number[] {
  const tried = [...MEASURED, ...BETWEEN]
  return Array.from({ length: proven }, (_, index) => index).filter(
    (size) => size > 1 && !tried.includes(size),
  )
}
