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
  ])('is %s, which runs this process', (execPath) => {
    expect(builderNode(undefined, host(execPath))).toEqual({ path: execPath })
  })

  it('is this one in this process', () => {
    expect(builderNode(undefined)).toEqual({ path: process.execPath })
  })

  it.each([
    ['a copy under another name', host('/opt/my-app')],
    ['an application whose name begins like it', host('/opt/node-exporter')],
    ['an application that only ends like it', host('/opt/mynode')],
    ['a single executable application', host('/opt/node', sea(true))],
    ['Electron', host('/opt/electron', { versions: { electron: '38.0.0' } })],
    ['Electron under the name of Node', host('/opt/node', { versions: { electron: '38.0.0' } })],
    ['NW.js', host('/opt/node', { versions: { nw: '0.100.0' } })],
    ['Bun, or what it has compiled', host('/opt/node', { versions: { bun: '1.3.0' } })],
    ['Deno, or what it has compiled', host('/opt/node', { versions: { deno: '2.5.0' } })],
    ['what pkg has made', host('/opt/node', { pkg: { entrypoint: '/snapshot/app.js' } })],
    ['what nexe has made', host('/opt/node', { __nexe: {} })],
    ['what boxednode has made', host('/opt/node', { boxednode: {} })],
  ])('is not %s, and what can be set is said', (_, process) => {
    expect(builderNode(undefined, process)).toEqual({ reason: expect.stringContaining('`builderExecPath`') })
    expect(builderNode('/usr/bin/node', process)).toEqual({ path: '/usr/bin/node' })
  })

  it('is told by its name where Node does not say whether it is a single executable', () => {
    const { getBuiltinModule: _, ...old } = host('/usr/bin/node')
    expect(builderNode(undefined, old)).toEqual({ path: '/usr/bin/node' })
  })
})

describe('the environment of a builder', () => {
  it('makes Electron behave as Node, in the main process and wherever else it runs', () => {
    const electron = host('/opt/electron', { versions: { node: '24.9.0', electron: '45.5.0' } })
    expect(builderNode(electron.execPath, electron)).toEqual({ path: electron.execPath })
    expect(builderEnvironment({ LANG: 'C' }, electron)).toEqual({ LANG: 'C', ELECTRON_RUN_AS_NODE: '1' })
  })

  it('is left as it is elsewhere', () => {
    expect(builderEnvironment({ LANG: 'C' })).toEqual({ LANG: 'C' })
  })
})
