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

describe('the processes that share the cores', () => {
  it('are this one alone where nothing else is known', () => {
    expect(countOf({})).toBe(1)
  })

  it('of a cluster worker are the workers of its primary, not its other children', () => {
    expect(countOf({ isClusterWorker: true })).toBe(3)
  })

  it.each([
    ['nothing is told of children', {}],
    ['the primary is of another namespace', { 'proc/10/task/10/children': '' }],
    ['the children may not be looked at', { 'proc/10/task/10/children': '11 12 ' }],
  ])('of a cluster worker are itself where %s', (_, files) => {
    expect(countOf({ isClusterWorker: true }, files as Record<string, string>)).toBe(1)
  })

  const pm2 = { pm_id: '3', NODE_APP_INSTANCE: '2', instances: '4' }

  it.each([
    ['in its cluster mode', { ...pm2, exec_mode: 'cluster_mode' }, true],
    ['in its fork mode', { ...pm2, exec_mode: 'fork_mode' }, false],
  ])('of pm2 %s are the instances it was told to start', (_, env, isClusterWorker) => {
    expect(countOf({ env, isClusterWorker })).toBe(4)
  })

  it('of cluster workers inside of pm2 are both, multiplied', () => {
    expect(countOf({ env: { ...pm2, exec_mode: 'fork_mode' }, isClusterWorker: true })).toBe(12)
  })

  it.each(['0', '-1', 'max', '1.5', '', undefined])('of pm2 are one when instances is %j', (instances) => {
    expect(countOf({ env: { ...pm2, instances } })).toBe(1)
  })

  it('are not read off a variable that pm2 has not set', () => {
    expect(countOf({ env: { instances: '4' } })).toBe(1)
  })
})
