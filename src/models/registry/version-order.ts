import semver from 'semver'

/** Matches numbers separated by dots, with an optional pre-release: `2`, `2.10`, `v9`, `1.5-rc.1`. */
const NUMBERED = /^v?(\d+(?:\.\d+)*)(-(?:alpha|beta|canary|dev|next|pre|preview|rc|snapshot)[0-9.-]*)?$/i
/** Matches labels that look like hashes, which have no order. */
const HASH = /^(?=.*[a-f])(?=.*\d)[0-9a-f]{7,}$/i

/** A label of numbers, with its pre-release as text. */
interface Numbered {
  readonly numbers: readonly bigint[]
  readonly preRelease: string
}

/**
 * Compares two version labels. Returns a negative number if `a` is older, a positive one if `b` is older, and
 * undefined if the labels have no order. Semantic versions are compared as such, labels of numbers (`9`, `v10`,
 * `2.10`) number by number, and others (`release-10`, `2024-02-01`) by the first number that differs, provided that
 * the text before it is the same.
 */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0
  const [semverA, semverB] = [semver.parse(a), semver.parse(b)]
  if (semverA !== null && semverB !== null) return semver.compareBuild(semverA, semverB) || undefined
  const [numberedA, numberedB] = [numberedOf(a), numberedOf(b)]
  if (numberedA !== undefined && numberedB !== undefined)
    return compareNumbers(numberedA, numberedB) || undefined
  return compareNaturally(tokensOf(a), tokensOf(b))
}

/**
 * Returns the labels that are not older than any other one. If there is only one, it is the latest version. Labels
 * that are no versions, such as `backup` or `current`, are skipped if there are others.
 */
export function newestVersions(labels: Iterable<string>): string[] {
  const all = [...labels]
  const versions = all.filter(isVersion)
  const candidates = versions.length > 0 ? versions : all
  return candidates.filter((label) => !candidates.some((other) => (compareVersions(label, other) ?? 0) < 0))
}

function isVersion(label: string): boolean {
  return /\d/.test(label) && !HASH.test(label)
}

function numberedOf(label: string): Numbered | undefined {
  const parsed = semver.parse(label)
  if (parsed !== null) {
    const { major, minor, patch, prerelease } = parsed
    const preRelease = prerelease.length === 0 ? '' : `-${prerelease.join('.')}`
    return { numbers: [major, minor, patch].map(BigInt), preRelease }
  }
  const match = NUMBERED.exec(label)
  if (match === null) return undefined
  const [, numbers = '', preRelease = ''] = match
  return { numbers: numbers.split('.').map(BigInt), preRelease }
}

/** Compares labels of numbers: "2.10" is newer than "2.9", "2.0" than "2", and "2" than "2-rc.1". */
function compareNumbers(a: Numbered, b: Numbered): number {
  for (let index = 0; index < Math.max(a.numbers.length, b.numbers.length); index += 1) {
    const [left, right] = [a.numbers[index] ?? 0n, b.numbers[index] ?? 0n]
    if (left !== right) return left < right ? -1 : 1
  }
  if (a.preRelease !== b.preRelease) {
    const [left, right] = [semver.parse(`0.0.0${a.preRelease}`), semver.parse(`0.0.0${b.preRelease}`)]
    return left === null || right === null ? 0 : semver.compare(left, right)
  }
  return a.numbers.length - b.numbers.length
}

/** Splits a label into its numbers and the texts between them. */
function tokensOf(label: string): string[] {
  return label.match(/\d+|\D+/g) ?? []
}

function compareNaturally(a: readonly string[], b: readonly string[]): number | undefined {
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const [left, right] = [a[index] as string, b[index] as string]
    if (left === right) continue
    if (!/^\d/.test(left) || !/^\d/.test(right)) return undefined
    const difference = BigInt(left) - BigInt(right)
    if (difference !== 0n) return difference < 0n ? -1 : 1
  }
  const longer = a.length > b.length ? a : b
  // "release-2.1" continues "release-2" with a number; "release-2-small" has no order relative to it.
  const rest = longer.slice(Math.min(a.length, b.length)).join('')
  return /^([._-]\d+)+$/.test(rest) ? a.length - b.length : undefined
}
