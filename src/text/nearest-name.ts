/** Length above which names are not compared; no valid name is longer. */
const MAX_LENGTH = 64

/** Returns the name among `names` that is most similar to a misspelt one; undefined if none is similar. */
export function nearestName(wrong: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const name of names) {
    const distance = distanceOf(wrong, name)
    if (distance < least) [nearest, least] = [name, distance]
  }
  return nearest
}

/**
 * Returns the number of letters that are wrong, missing or added. Returns infinity if that is more than two,
 * or more than half of the shorter name.
 */
function distanceOf(left: string, right: string): number {
  const tooMuch = Number.POSITIVE_INFINITY
  if (left.length > MAX_LENGTH || Math.abs(left.length - right.length) > 2) return tooMuch
  const allowed = Math.min(2, Math.floor(Math.min(left.length, right.length) / 2))
  const distance = editDistance(left.toLowerCase(), right.toLowerCase())
  return distance <= allowed ? distance : tooMuch
}

function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= right.length; j += 1) {
      const substituted = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[right.length] as number
}
