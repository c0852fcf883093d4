import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { sharedProject } from '../support/packaging-harness.js'

const service = `
import { createRuntime } from 'tbcoin-engine'
const runtime = await createRuntime()
const { probabilities } = await runtime.predict('mlp', { x: [[1, 2, 3, 4]] })
console.log(probabilities.data.length, runtime.models.getModel('mlp').stats().pool.wanted)
await runtime.close()
`
const load = `
import { createRuntime } from 'tbcoin-engine'
const runtime = await createRuntime({ logLevel: 'silent' })
for (const [index, source] of process.argv.slice(2).entries()) {
  await runtime.models.loadModel({ name: 'm', version: String(index), source }).catch((error) => console.log(error.code, error.message))
}
await runtime.close()
`
const mark = '\ufeff'
const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'
const model = graphs.mlp()
const sha256 = createHash('sha256').update(model).digest('hex').toUpperCase()

const project = await sharedProject([])
project.write({
  'service.mjs': service,
  'load.mjs': load,
  'models/mlp/model.json': `${mark}{}`,
  'models/mlp/1/version.json': `${mark}${JSON.stringify({ sha256 })}`,
  'models/mlp/1/model.onnx': model,
  'settings.json': `${mark}${JSON.stringify({ modelDir: 'models', logLevel: 'warn', replicas: 1 })}`,
  'pointer.onnx': pointer,
  'page.onnx': '<!DOCTYPE html><html><body>404</body></html>',
  'empty.onnx': '',
})

describe('external text', () => {
  it('may begin with a byte order mark, and its hashes may be in upper case', async () => {
    const { stdout, stderr } = await project.onEveryNode('TBCOIN_CONFIG_FILE=settings.json node service.mjs')
    expect({ stdout, stderr }).toEqual({ stdout: '3 1\n', stderr: '' })
  })

  it('in an empty variable is ignored, and in an unknown variable causes a warning with the nearest name', async () => {
    const empty = 'TBCOIN_REPLICAS= TBCOIN_LOG_LEVEL= TBCOIN_CACHE_DIR= TBCOIN_MODELDIR=x'
    const line = `${empty} TBCOIN_CONFIG_FILE=settings.json node service.mjs`
    const { stdout, stderr } = await project.shell(line)
    expect(stdout).toBe('3 1\n')
    expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(/TBCOIN_MODELDIR.*TBCOIN_MODEL_DIR/)])
  })

  it('in place of a model is refused with a description of what it is', async () => {
    const { stdout } = await project.onEveryNode('node load.mjs pointer.onnx page.onnx empty.onnx .')
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^ERR_MODEL_LOAD .*pointer\.onnx.*git lfs pull/),
      expect.stringMatching(/^ERR_MODEL_LOAD .*page\.onnx.*HTML/),
      expect.stringMatching(/^ERR_MODEL_LOAD .*empty\.onnx.*empty/),
      expect.stringMatching(/^ERR_MODEL_LOAD .*folder/),
    ])
  })
})
