import semver from 'semver'

/**
 * Order of versions, oldest first: as semver where both parse, else as numbers where
 * both are, else by code unit.
 */
export function compareVersions(a: string, b: string): number {
  const semverA = semver.parse(a)
  const semverB = semver.parse(b)
  if (semverA !== null && semverB !== null) return semver.compareBuild(semverA, semverB) || byCodeUnit(a, b)
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b) || byCodeUnit(a, b)
  return byCodeUnit(a, b)
}

/** The newest of `versions`, undefined if there is none. */
export function latestVersion(versions: Iterable<string>): string | undefined {
  return [...versions].sort(byCodeUnit).reduce<string | undefined>((latest, version) => {
    return latest === undefined || compareVersions(version, latest) > 0 ? version : latest
  }, undefined)
}

function isNumber(version: string): boolean {
  return /^\d+(\.\d+)?$/.test(version)
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
