import { afterAll, describe, expect, it } from 'vitest'
import { loop } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { fixturePath, messageOf, runChild, tries } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const models = [{ name: 'loop', version: '1', source: repository.path('loop', '1') }]
const repeats = { repeats: tries - 1 }
const boundMs = 10_000

describe('a replica entry', () => {
  it.each([
    ['throws at import', 'throws-at-import.mjs', 'broken on purpose, at import'],
    ['exits at import', 'exits-at-import.mjs', 'exited with code 7'],
  ])('that %s makes the runtime fail to start, and the host can end', repeats, async (_, entry, reason) => {
    const options = { models, replicas: 2, replicaEntry: fixturePath(entry) }
    const child = await runChild('start-broken-replica.mjs', { input: { options } })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const refused = messageOf(child, 'refused')
    const cause = { code: 'ERR_REPLICA_EXITED' }
    expect(refused).toMatchObject({ code: 'ERR_MODEL_LOAD', isRuntimeError: true, model: 'loop', cause })
    expect(refused.message).toContain(reason)
    expect(refused.afterMs).toBeLessThan(boundMs)
  })
})

describe('a loader module', () => {
  async function expectRefusal(loader: string, reason: string, loadTimeoutMs = 0): Promise<void> {
    const input = { options: { models, loadTimeoutMs }, loader: fixturePath(loader) }
    const child = await runChild('load-broken-loader.mjs', { input })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const refused = messageOf(child, 'refused')
    expect(refused).toMatchObject({ code: 'ERR_MODEL_LOAD', isRuntimeError: true, model: 'b', other: 'ok' })
    expect(refused.message).toContain(reason)
    expect(refused.states).toEqual(['loop running', 'b error'])
    expect(refused.afterMs).toBeLessThan(boundMs)
  }

  it.each([
    ['throws at import', 'throws-at-import.mjs', 'broken on purpose, at import'],
    ['exits at import', 'exits-at-import.mjs', 'exited with code 7'],
    ['exits at load', 'exits-at-load.mjs', 'exited with code 7'],
  ])('that %s fails only its own model', repeats, async (_, loader, reason) => {
    await expectRefusal(loader, reason)
  })

  it('whose import never ends fails only its own model, after loadTimeoutMs', async () => {
    await expectRefusal('never-imported.mjs', 'was not loaded within 1500 ms', 1_500)
  })
})
