import { afterAll, describe, expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { messageOf, runChild } from '../support/run-child.js'

const repository = tempRepository({ answer: { '1': constantAnswer(1) } })
afterAll(() => repository.dispose())

const models = [{ name: 'answer', version: '1', source: repository.path('answer', '1') }]

describe('process.exit() in a listener, with an exit listener of the host that throws,', () => {
  it.each(['promoted', 'request', 'settled', 'logger'])(
    'ends the process as plain Node does, in a listener of: %s',
    async (where) => {
      const plain = await runChild('exit-in-listener.mjs', { input: { models, plain: true } })
      const child = await runChild('exit-in-listener.mjs', { input: { models, where } })
      expect(plain).toMatchObject({ isOverdue: false, signal: null })
      expect(child).toMatchObject({ isOverdue: false, signal: null, code: plain.code })
      expect(child.stderr).toContain('Error: thrown by an exit listener')
    },
  )
})

describe.runIf(process.platform === 'linux')('a standard error stream on a full disk', () => {
  it('does not end the host, which starts, serves and closes', async () => {
    const child = await runChild('full-stderr.mjs', { input: { models }, stderr: '/dev/full' })
    expect(child).toMatchObject({ code: 0, signal: null })
    expect(messageOf(child, 'done')).toMatchObject({ y: [2] })
  })
})
