import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRuntime } from 'tbcoin-engine'
import { packageRoot } from '../../models/catalogue.js'

/**
 * A model that is not ONNX: a loader of one's own, a prediction, a hot swap.
 * Run it with `npm run build && node dist/examples/loaders/main.js`.
 */
async function main(): Promise<void> {
  const folder = join(packageRoot, 'examples', 'loaders')
  const heldOut = JSON.parse(await readFile(join(folder, 'iris-held-out.json'), 'utf8')) as {
    rows: number[][]
    labels: string[]
  }

  await using runtime = await createRuntime({ replicas: 1, logLevel: 'warn' })
  const { models } = runtime
  models.registerModelLoader('tree-ensemble', new URL('./tree-ensemble.js', import.meta.url))
  await models.loadModel({
    name: 'iris',
    version: '1',
    modelType: 'tree-ensemble',
    source: join(folder, 'iris-1.json'),
  })
  const [row] = heldOut.rows as [number[]]
  const { label, scores } = await runtime.predict('iris', { features: [row] })
  console.log(`version 1: ${row.join(', ')} is ${label?.data[0]} (${scores?.data.join(', ')})`)
  console.log(
    `version 1: ${await rightAnswers()} of ${heldOut.rows.length} rows it was not trained on are right`,
  )

  const swap = await models.hotSwapModel({
    name: 'iris',
    newVersion: '2',
    modelType: 'tree-ensemble',
    source: join(folder, 'iris-2.json'),
  })
  await swap.drained
  console.log(`version 2: ${await rightAnswers()} of ${heldOut.rows.length}`)

  /** All rows in one request: the batch is a free dim of the signature. */
  async function rightAnswers(): Promise<number> {
    const answer = await runtime.predict('iris', { features: heldOut.rows }, { outputs: ['label'] })
    return heldOut.labels.filter((expected, row) => answer.label?.data[row] === expected).length
  }
}

await main()
