import { expect, it } from 'vitest'
import { Project } from './kit.js'

const jest = `
const { createRuntime } = require('tbcoin-engine')
test('answers', async () => {
  const runtime = await createRuntime({ logLevel: 'silent', models: [{ name: 'm', version: '1', source: 'model.onnx' }] })
  const { probabilities } = await runtime.predict('m', { x: [[1, 2, 3, 4]] })
  expect(probabilities.data).toHaveLength(3)
  await runtime.close()
})
`

it('CommonJS can require the package in the default mode of Jest', async () => {
  using project = await Project.install(['jest@30'])
  project.write({ 'answer.test.js': jest })
  const { stderr } = await project.run('npx', ['jest'])
  expect(stderr).toContain('1 passed')
})
