import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { cpuQuota } from '../../../../src/platform/cpu/cpu-quota.js'
import { coresPerProcess, usableCores } from '../../../../src/platform/cpu/usable-cores.js'
import { fileTree } from '../../../support/file-tree.js'

const V2_MOUNT = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate'
const V1_MOUNT = '33 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct'

/**
 * Returns the quota of a process in the group of `cgroup` lines, with the files of groups below
 * /sys/fs/cgroup.
 */
function quotaOf(mounts: string, cgroup: string, limits: Readonly<Record<string, string>>): number {
  const below = Object.entries(limits).map(([path, text]) => [`sys/fs/cgroup/${path}`, `${text}\n`] as const)
  using tree = fileTree({
    'proc/self/mountinfo': `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n${mounts}\n`,
    'proc/self/cgroup': `${cgroup}\n`,
    ...Object.fromEntries(below),
  })
  return cpuQuota(tree.root)
}

const NONE = Number.POSITIVE_INFINITY

describe('the CPU quota of cgroup version 2', () => {
  const quota = (cgroup: string, limits: Readonly<Record<string, string>>, mount = V2_MOUNT): number =>
    quotaOf(mount, `0::${cgroup}`, limits)

  it('is the quota of the own group divided by its period', () => {
    expect(quota('/app', { 'app/cpu.max': '150000 100000' })).toBe(1.5)
    expect(quota('/app', { 'app/cpu.max': '20000 10000' })).toBe(2)
  })

  it.each([
    ['the own group', { 'a/b/c/cpu.max': '100000 100000', 'a/cpu.max': '400000 100000' }],
    ['a group above it', { 'a/b/c/cpu.max': 'max 100000', 'a/b/cpu.max': '100000 100000' }],
    ['the topmost group', { 'a/b/c/cpu.max': '300000 100000', 'cpu.max': '100000 100000' }],
  ])('is the smallest on the path to the root, such as that of %s', (_, limits) => {
    expect(quota('/a/b/c', limits as Record<string, string>)).toBe(1)
  })

  it('ignores groups that are not on the path to the root', () => {
    expect(quota('/a/b', { 'a/c/cpu.max': '100000 100000', 'a/b/c/cpu.max': '100000 100000' })).toBe(NONE)
  })

  it('is undefined where no group has a limit, or the controller is off', () => {
    expect(quota('/a', { 'a/cpu.max': 'max 100000', 'cpu.max': 'max 100000' })).toBe(NONE)
    expect(quota('/a', {})).toBe(NONE)
    expect(quota('/', {})).toBe(NONE)
  })

  it('of a container is that of its mount, however the process sees its group', () => {
    const limits = { 'cpu.max': '250000 100000' }
    const nested = V2_MOUNT.replace(' / /sys', ' /docker/4ac2 /sys')
    expect(quota('/docker/4ac2', limits, nested)).toBe(2.5)
    expect(quota('/', limits)).toBe(2.5)
    // The group is outside of the cgroup namespace of the process, or the process was moved out of it.
    expect(quota('/../../kubepods/pod7', limits)).toBe(2.5)
    expect(quota('/elsewhere', limits, nested)).toBe(2.5)
  })

  it('of a nested container includes the groups above', () => {
    const limits = { 'inner/cpu.max': '300000 100000', 'cpu.max': '200000 100000' }
    const nested = V2_MOUNT.replace(' / /sys', ' /docker/4ac2 /sys')
    expect(quota('/docker/4ac2/inner', limits, nested)).toBe(2)
    expect(quota('/docker/4ac2/inner', { ...limits, 'inner/cpu.max': '50000 100000' }, nested)).toBe(0.5)
  })

  it('is found when the group or the mount has special characters in its name', () => {
    const mount = V2_MOUNT.replace('/sys/fs/cgroup', '/sys/fs/cgroup/my\\040groups')
    expect(quota('/a:b c', { 'my groups/a:b c/cpu.max': '100000 100000' }, mount)).toBe(1)
  })

  it('is that of the mount that contains the group when there are several mounts', () => {
    const other = V2_MOUNT.replace(' / /sys/fs/cgroup', ' /other /sys/fs/cgroup/other')
    const limits = { 'other/cpu.max': '100000 100000', 'a/cpu.max': '300000 100000' }
    expect(quota('/a', limits, `${other}\n${V2_MOUNT}`)).toBe(3)
  })
})

describe('the CPU quota of cgroup version 1', () => {
  const at = (group: string, quota: number, period = 100_000): Record<string, string> => ({
    [`cpu,cpuacct${group}/cpu.cfs_quota_us`]: String(quota),
    [`cpu,cpuacct${group}/cpu.cfs_period_us`]: String(period),
  })
  const quota = (limits: Readonly<Record<string, string>>, mount = V1_MOUNT): number =>
    quotaOf(mount, '5:memory:/m\n4:cpuacct,cpu:/docker/4ac2\n3:cpuset:/\n0::/', limits)

  it('is the smallest on the path to the root', () => {
    expect(quota(at('/docker/4ac2', 150_000))).toBe(1.5)
    expect(quota({ ...at('/docker/4ac2', 400_000), ...at('/docker', 50_000, 50_000) })).toBe(1)
    expect(quota({ ...at('/docker/4ac2', -1), ...at('', 300_000) })).toBe(3)
  })

  it('is undefined for -1 and without files', () => {
    expect(quota({ ...at('/docker/4ac2', -1), ...at('', -1) })).toBe(NONE)
    expect(quota({})).toBe(NONE)
  })

  it('of a container is that of its mount', () => {
    expect(quota(at('', 200_000), V1_MOUNT.replace(' / /sys', ' /docker/4ac2 /sys'))).toBe(2)
  })

  it('is combined with version 2 on a machine that has both', () => {
    const unified = V2_MOUNT.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')
    expect(quota(at('', 200_000), `${V1_MOUNT}\n${unified}`)).toBe(2)
    expect(quota({ ...at('', 200_000), 'unified/cpu.max': '100000 100000' }, `${V1_MOUNT}\n${unified}`)).toBe(
      1,
    )
  })
})

describe('the number of usable cores', () => {
  const v2 = (text: string): Parameters<typeof fileTree>[0] => ({
    'proc/self/mountinfo': `${V2_MOUNT}\n`,
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/cpu.max': text,
  })

  it.each([
    ['5000 100000', 1],
    ['100000 100000', 1],
    ['100001 100000', Math.min(2, availableParallelism())],
    ['99999900000 100000', availableParallelism()],
    ['max 100000', availableParallelism()],
    ['', availableParallelism()],
  ])('under a quota of "%s" is %i', (text, cores) => {
    using tree = fileTree(v2(text))
    expect(usableCores(tree.root)).toBe(cores)
  })

  it('follows the CPU affinity where the kernel reports no groups', () => {
    using empty = fileTree({})
    expect(usableCores(empty.root)).toBe(availableParallelism())
    expect(usableCores(`${empty.root}/not/there`)).toBe(availableParallelism())
  })

  it('is divided among processes, and each has at least one core', () => {
    expect(coresPerProcess(1)).toBe(usableCores())
    expect(coresPerProcess(1024)).toBe(1)
    // This process is not a cluster worker.
    expect(coresPerProcess('auto')).toBe(usableCores())
  })
})
