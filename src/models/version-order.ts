import semver from 'semver'

/**
 * Order of versions, oldest first: as semver where both parse, else number by number
 * where both are numbers with dots between, else by code unit.
 */
export function compareVersions(a: string, b: string): number {
  const semverA = semver.parse(a)
  const semverB = semver.parse(b)
  if (semverA !== null && semverB !== null) return semver.compareBuild(semverA, semverB) || byCodeUnit(a, b)
  if (areNumbers(a) && areNumbers(b)) return byNumbers(a, b) || byCodeUnit(a, b)
  return byCodeUnit(a, b)
}

/** The newest of `versions`, undefined if there is none. */
export function latestVersion(versions: Iterable<string>): string | undefined {
  return [...versions].sort(byCodeUnit).reduce<string | undefined>((latest, version) => {
    return latest === undefined || compareVersions(version, latest) > 0 ? version : latest
  }, undefined)
}

function areNumbers(version: string): boolean {
  return /^\d+(\.\d+)*$/.test(version)
}

/** "2.10" is newer than "2.9". */
function byNumbers(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)]
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
