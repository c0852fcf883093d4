import { describe, expect, it } from 'vitest'
import { type ProcessSigns, processCount } from '../../../../src/platform/cpu/process-count.js'
import { fileTree } from '../../../support/file-tree.js'

/** Processes 11 to 13 are workers of 10, forked by two of its threads; 14 and 15 are other children. */
const family = {
  'proc/10/task/10/children': '11 14 12 ',
  'proc/10/task/17/children': '13 15 ',
  'proc/11/environ': 'PATH=/bin\0NODE_UNIQUE_ID=1\0',
  'proc/12/environ': 'NODE_UNIQUE_ID=2\0PATH=/bin\0',
  'proc/13/environ': 'NODE_UNIQUE_ID=3\0',
  'proc/14/environ': 'PATH=/bin\0MY_NODE_UNIQUE_ID=4\0',
}

function countOf(signs: Partial<ProcessSigns>, files: Readonly<Record<string, string>> = family): number {
  using tree = fileTree(files)
  return processCount({ env: {}, isClusterWorker: false, parentPid: 10, root: tree.root, ...signs })
}

describe('the number of processes that share the cores', () => {
  it('is one when no other process is known', () => {
    expect(countOf({})).toBe(1)
  })

  it('in a cluster worker counts the workers of its primary, and not the other children of the primary', () => {
    expect(countOf({ isClusterWorker: true })).toBe(3)
  })

  it.each([
    ['the system does not list children', {}],
    ['the primary is in another namespace', { 'proc/10/task/10/children': '' }],
    ['the list of children is not readable', { 'proc/10/task/10/children': '11 12 ' }],
  ])('in a cluster worker is one where %s', (_, files) => {
    expect(countOf({ isClusterWorker: true }, files as Record<string, string>)).toBe(1)
  })

  const pm2 = { pm_id: '3', NODE_APP_INSTANCE: '2', instances: '4' }

  it.each([
    ['in cluster mode', { ...pm2, exec_mode: 'cluster_mode' }, true],
    ['in fork mode', { ...pm2, exec_mode: 'fork_mode' }, false],
  ])('under pm2 %s is the configured number of instances', (_, env, isClusterWorker) => {
    expect(countOf({ env, isClusterWorker })).toBe(4)
  })

  it('in cluster workers under pm2 is the product of both numbers', () => {
    expect(countOf({ env: { ...pm2, exec_mode: 'fork_mode' }, isClusterWorker: true })).toBe(12)
  })

  it.each(['0', '-1', 'max', '1.5', '', undefined])('under pm2 is one when instances is %j', (instances) => {
    expect(countOf({ env: { ...pm2, instances } })).toBe(1)
  })

  it('ignores the variable of pm2 in a process that pm2 did not start', () => {
    expect(countOf({ env: { instances: '4' } })).toBe(1)
  })
})
