import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { Project, tarball } from '../support/packaging-harness.js'

const loader = `
import isOdd from 'is-odd'
export const load = () => ({
  signature: {
    inputs: [{ name: 'x', type: 'float32', dims: [1] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1] }],
  },
  run: ({ x }) => ({ y: { type: 'float32', dims: [1], data: Float32Array.of(isOdd(x.data[0]) ? 1 : 0) } }),
})
`
const service = `
import { createRuntime } from 'tbcoin-engine'
const odd = new URL('./loader.mjs', import.meta.url)
const runtime = await createRuntime({
  logLevel: 'warn',
  loaders: { odd },
  models: [
    { name: 'wide', version: '1', source: 'wide.onnx', config: { sample: { input: { x: [new Array(1024).fill(1)] } } } },
    { name: 'odd', version: '1', modelType: 'odd', source: odd },
  ],
})
const { artifact } = runtime.models.getModel('wide').stats()
const { y } = await runtime.predict('wide', { x: new Float32Array(1024) })
const isOdd = (await runtime.predict('odd', { x: [3] })).y.data
console.log(artifact.form, y.data.length, isOdd[0])
await runtime.close()
`
const served = { stdout: 'prepacked 1024 1\n', stderr: '' }
const files = { 'service.mjs': service, 'loader.mjs': loader, 'wide.onnx': graphs.bigLoad(4) }

describe('a service, its artifact and its loader work', () => {
  const dependencies = {
    'tbcoin-engine': `file:${tarball}`,
    'onnxruntime-node': '1.30.0',
    'is-odd': '3.0.1',
  }

  it("with Yarn's Plug'n'Play", async () => {
    using project = new Project({ dependencies })
    const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
    const settings = ['nodeLinker: pnp', 'enableGlobalCache: false', `npmRegistryServer: ${registry}`]
    project.write({ ...files, '.yarnrc.yml': settings.join('\n'), 'yarn.lock': '' })
    const yarn = 'npx --yes --package=@yarnpkg/cli-dist@4.18.1 yarn'
    await project.shell(`${yarn} install`, {
      YARN_ENABLE_SCRIPTS: 'false',
      YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    })
    expect(await project.onEveryNode(`${yarn} node service.mjs`)).toEqual(served)
  })

  it('with pnpm', async () => {
    using project = new Project({ dependencies })
    project.write(files)
    await project.shell('npx --yes pnpm@10 install --store-dir=./store')
    expect(await project.onEveryNode('node service.mjs')).toEqual(served)
  })

  it('in workspaces with shared dependencies, each with its own onnxruntime-node', async () => {
    using project = new Project({ workspaces: ['new', 'old'] })
    for (const [name, version] of [
      ['new', '1.30.0'],
      ['old', '1.26.0'],
    ]) {
      const manifest = {
        name,
        version: '1.0.0',
        dependencies: { ...dependencies, 'onnxruntime-node': version },
      }
      project.write({ [`${name}/package.json`]: JSON.stringify(manifest) })
      for (const [file, content] of Object.entries(files)) project.write({ [`${name}/${file}`]: content })
    }
    await project.run('npm', ['install'])
    for (const name of ['new', 'old']) {
      expect(await project.onEveryNode(`cd ${name} && node service.mjs`)).toEqual(served)
    }
  })
})
