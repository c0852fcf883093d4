import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

/** A hierarchy of control groups that can limit CPU time. */
interface Hierarchy {
  /** Path of this process's group in the hierarchy. */
  readonly path: string
  readonly mount: Mount
  readonly coresOf: (folder: string) => number
}

interface Mount {
  /** The group that is mounted. */
  readonly root: string
  /** The folder on which it is mounted. */
  readonly point: string
}

/**
 * Returns the CPU time that the control groups of this process allow, in cores: the minimum of its own group and of
 * all visible groups above it, of both versions (`cpu.max`, `cpu.cfs_quota_us`). The value may be a fraction; it is
 * Infinity without a limit.
 * @param root the folder that stands for `/`.
 */
export function cpuQuota(root = '/'): number {
  return Math.min(Number.POSITIVE_INFINITY, ...hierarchies(root).map((hierarchy) => leastOf(hierarchy, root)))
}

function leastOf({ path, mount, coresOf }: Hierarchy, root: string): number {
  const inside = posix.relative(mount.root, path)
  // Only the mounted part is visible of a group above the mount, or of another namespace.
  const names = inside.startsWith('..') ? [] : inside.split('/')
  const folders = names.map((_, index) => posix.join(mount.point, ...names.slice(0, index + 1)))
  return Math.min(...[mount.point, ...folders].map((folder) => coresOf(join(root, folder))))
}

function hierarchies(root: string): Hierarchy[] {
  const mounts = readLines(join(root, 'proc/self/mountinfo'))
  return readLines(join(root, 'proc/self/cgroup')).flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const isUnified = controllers === ''
    if (!isUnified && !controllers.split(',').includes('cpu')) return []
    const found = mounts.flatMap((mount) => mountOf(mount, isUnified))
    const contains = (mount: Mount): boolean => !posix.relative(mount.root, path).startsWith('..')
    const mount = found.find(contains) ?? found[0]
    return mount === undefined ? [] : [{ path, mount, coresOf: isUnified ? coresOfV2 : coresOfV1 }]
  })
}

/** Parses a line of `/proc/self/mountinfo`, see proc(5). Returns no mount for another file system. */
function mountOf(line: string, isUnified: boolean): Mount[] {
  const [before = '', after = ''] = line.split(' - ')
  const [type, , options = ''] = after.split(' ')
  const isMatch = isUnified ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes('cpu')
  if (!isMatch) return []
  const [, , , root = '/', point = '/'] = before.split(' ').map(unescaped)
  return [{ root, point }]
}

/** Decodes blanks and other special characters, which mountinfo writes in octal. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

function coresOfV2(folder: string): number {
  const [quota, period] = (readLines(join(folder, 'cpu.max'))[0] ?? '').split(' ')
  return coresOf(quota, period)
}

function coresOfV1(folder: string): number {
  const [quota] = readLines(join(folder, 'cpu.cfs_quota_us'))
  const [period] = readLines(join(folder, 'cpu.cfs_period_us'))
  return coresOf(quota, period)
}

/** Returns the quota in cores; a quota that is -1 or no number means no limit. */
function coresOf(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period)
  return cores > 0 ? cores : Number.POSITIVE_INFINITY
}

/** Returns the lines of a file; none if the file does not exist. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n')
  } catch {
    return []
  }
}
