import { describe, expect, it } from 'vitest'
import {
  builderEnvironment,
  builderNode,
  type HostProcess,
} from '../../../../src/artifacts/builder/builder-node.js'

const sea = (isSea: boolean) => ({
  getBuiltinModule: (id: string) => (id === 'node:sea' ? { isSea: () => isSea } : undefined),
})
const host = (execPath: string, more: Partial<HostProcess> = {}): HostProcess => ({
  execPath,
  versions: { node: '20.20.2' },
  ...sea(false),
  ...more,
})

describe('the Node that runs a builder', () => {
  it.each([
    process.execPath,
    '/usr/bin/node',
    '/usr/bin/nodejs',
    '/usr/bin/node-22',
    '/opt/node20',
    '/opt/node-v24.1.0',
    'C:/Program Files/nodejs/node.exe',
    'C:/nodejs/Node.EXE',
  ])('is the executable of this process when that is %s', (execPath) => {
    expect(builderNode(undefined, host(execPath))).toEqual({ path: execPath })
  })

  it('is the executable of the process that runs this test', () => {
    expect(builderNode(undefined)).toEqual({ path: process.execPath })
  })

  it.each([
    ['a copy of Node under another name', host('/opt/my-app')],
    ['an application whose name begins with "node"', host('/opt/node-exporter')],
    ['an application whose name ends with "node"', host('/opt/mynode')],
    ['a single executable application', host('/opt/node', sea(true))],
    ['Electron', host('/opt/electron', { versions: { electron: '38.0.0' } })],
    ['Electron under the name of Node', host('/opt/node', { versions: { electron: '38.0.0' } })],
    ['NW.js', host('/opt/node', { versions: { nw: '0.100.0' } })],
    [
      'Bun, or what it has compiled',
      host('Bun or an executable compiled by Bun', { versions: { bun: '1.3.0' } }),
    ],
    [
      'Deno, or what it has compiled',
      host('Deno or an executable compiled by Deno', { versions: { deno: '2.5.0' } }),
    ],
    ['what pkg has made', host('an executable made by pkg', { pkg: { entrypoint: '/snapshot/app.js' } })],
    ['what nexe has made', host('an executable made by nexe', { __nexe: {} })],
    ['what boxednode has made', host('an executable made by boxednode', { boxednode: {} })],
  ])('is never %s, and the reason names the option to set', (_, process) => {
    expect(builderNode(undefined, process)).toEqual({ reason: expect.stringContaining('`builderExecPath`') })
    expect(builderNode('/usr/bin/node', process)).toEqual({ path: '/usr/bin/node' })
  })

  it('is recognised by its name when Node cannot say whether it is a single executable', () => {
    const { getBuiltinModule: _, ...old } = host('/usr/bin/node')
    expect(builderNode(undefined, old)).toEqual({ path: '/usr/bin/node' })
  })
})

describe('the environment of a builder', () => {
  it('makes Electron behave as Node, whichever of its processes the runtime runs in', () => {
    const electron = host('/opt/electron', { versions: { node: '24.9.0', electron: '45.5.0' } })
    expect(builderNode(electron.execPath, electron)).toEqual({ path: electron.execPath })
    expect(builderEnvironment({ LANG: 'C' }, electron)).toEqual({ LANG: 'C', ELECTRON_RUN_AS_NODE: '1' })
  })

  it('equals the environment of the process outside Electron', () => {
    expect(builderEnvironment({ LANG: 'C' })).toEqual({ LANG: 'C' })
  })
})
