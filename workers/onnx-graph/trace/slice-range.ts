/** Returns the part that a slice takes of an axis: the first place, and the number of places. */
export function sliceRange(
  size: number,
  start: number,
  end: number,
  step: number,
): [from: number, count: number] {
  const clamp = (place: number): number => {
    const [least, most] = step < 0 ? [-1, size - 1] : [0, size]
    return Math.min(Math.max(place < 0 ? place + size : place, least), most)
  }
  const from = clamp(start)
  return [from, Math.max(0, Math.ceil((clamp(end) - from) / step))]
}
