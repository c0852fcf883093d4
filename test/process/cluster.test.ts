import { afterAll, describe, expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { type ChildResult, messageOf, runChild } from '../support/run-child.js'

const repository = tempRepository({ answer: { '1': constantAnswer(1) } })
afterAll(() => repository.dispose())

const models = [{ name: 'answer', version: '1', source: repository.path('answer', '1') }]

async function runCluster(options: object = {}, env: Record<string, string> = {}): Promise<ChildResult> {
  const child = await runChild('cluster-of-two.mjs', { input: { models, options }, env })
  expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
  expect(messageOf(child, 'done')).toMatchObject({ codes: [0, 0, 0] })
  return child
}

const replicasOf = (child: ChildResult, role: string): unknown[] =>
  child.messages.filter(({ kind }) => kind === role).map(({ replicas }) => replicas)

describe('two workers of a node:cluster', () => {
  it('use half of the cores each, and other processes use all', async () => {
    const child = await runCluster()
    const [cores] = replicasOf(child, 'primary') as [number]
    const half = Math.max(1, Math.floor(cores / 2))
    expect(replicasOf(child, 'worker')).toEqual([half, half])
    expect(replicasOf(child, 'spare')).toEqual([cores])
  })

  it('use the cores that the option `processes` assigns', async () => {
    const child = await runCluster({ processes: 1 })
    const [cores] = replicasOf(child, 'primary')
    expect(replicasOf(child, 'worker')).toEqual([cores, cores])
  })

  it('share the cores of one instance of pm2', async () => {
    const pm2 = { pm_id: '0', instances: '1024', exec_mode: 'fork_mode' }
    const child = await runCluster({}, pm2)
    for (const role of ['primary', 'spare']) expect(replicasOf(child, role)).toEqual([1])
    expect(replicasOf(child, 'worker')).toEqual([1, 1])
  })
})
