import { expect, it } from 'vitest'
import { Project } from '../support/packaging-harness.js'

const again = `
import { createRuntime } from 'tbcoin-engine'
const runtime = await createRuntime({ logLevel: 'warn', probe: 'off', artifacts: 'off' })
for (let turn = 0; turn < 3; turn += 1) {
  await runtime.models.loadModel({ name: 'm', version: '1', source: 'model.onnx' })
  const { probabilities } = await runtime.predict('m', { x: [[1, 2, 3, 4]] })
  console.log(probabilities.data.length)
  await runtime.models.unloadModel('m')
}
await runtime.close()
`

it('a model is loaded again on onnxruntime-node 1.24 after all of its threads have ended', async () => {
  using project = await Project.install(['onnxruntime-node@1.24.3'])
  project.write({ 'again.mjs': again })
  expect(await project.onEveryNode('node again.mjs')).toEqual({ stdout: '3\n3\n3\n', stderr: '' })
})
