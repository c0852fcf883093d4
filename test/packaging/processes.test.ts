import { describe, expect, it } from 'vitest'
import { sharedProject } from '../support/packaging-harness.js'

const options = "{ logLevel: 'warn', models: [{ name: 'mlp', version: '1', source: 'model.onnx' }] }"
const cluster = `
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createRuntime } from 'tbcoin-engine'
if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()]
  const answers = await Promise.all(workers.map((worker) => once(worker, 'message')))
  const ends = workers.map((worker) => once(worker, 'exit'))
  for (const worker of workers) worker.process.kill('SIGTERM')
  console.log(answers.map(([length]) => length), (await Promise.all(ends)).map(([code]) => code))
} else {
  const runtime = await createRuntime({ ...${options}, handleSignals: true })
  const { probabilities } = await runtime.predict('mlp', { x: [[1, 2, 3, 4]] })
  process.send(probabilities.data.length)
}
`
/** Ends during 2,000 requests, after the first has succeeded. */
const busy = `
import { createRuntime } from 'tbcoin-engine'
const runtime = await createRuntime(${options})
const end = { exit: () => process.exit(7), throw: () => process.nextTick(() => { throw new Error('uncaught') }) }
const requests = Array.from({ length: 2000 }, () => runtime.predict('mlp', { x: [[1, 2, 3, 4]] }))
await Promise.race(requests)
end[process.argv[2]]()
`

const project = await sharedProject([])
project.write({ 'cluster.mjs': cluster, 'busy.mjs': busy })

describe('a packaged service', () => {
  it('serves in each worker of a cluster, and ends with code 0 at SIGTERM', async () => {
    expect(await project.onEveryNode('node cluster.mjs')).toEqual({
      stdout: '[ 3, 3 ] [ 0, 0 ]\n',
      stderr: '',
    })
  })

  it.each([
    ['exit', '7'],
    ['throw', '1'],
  ])('that ends by %s during its requests has code %s', async (end, code) => {
    const { stdout } = await project.onEveryNode(
      `node busy.mjs ${end} 2>log; echo $?; grep -c terminate log || true`,
    )
    expect(stdout).toBe(`${code}\n0\n`)
  })
})
