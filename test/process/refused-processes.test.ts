import { afterAll, describe, expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { fixturePath, messageOf, runChild, runProgram } from '../support/run-child.js'

const models = tempRepository({
  m: { '1': constantAnswer(1), '2': constantAnswer(2), '3': constantAnswer(3) },
})
afterAll(() => models.dispose())
const sources = ['1', '2', '3'].map((version) => models.path('m', version))

const isPosix = process.platform !== 'win32'

describe.runIf(isPosix)('where the system starts no process', () => {
  it('models are served as they are, with one warning, and nobody gets a signal', async () => {
    using folder = tempFolder()
    // The first five leave a child without a number, the others throw.
    const codes = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOENT', 'EACCES', 'ENOMEM', 'EPERM']
    const child = await runChild('refused-processes.mjs', { input: { codes, sources, folder: folder.path } })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(child.messages.filter(({ kind }) => kind === 'served')).toEqual(
      codes.map((code) => ({
        kind: 'served',
        code,
        answers: [2, 3],
        warnings: [
          {
            message: expect.stringContaining('served in their original form'),
            reason: expect.stringContaining(code),
          },
        ],
      })),
    )
    expect(messageOf(child, 'done')).toMatchObject({ blindKills: 0 })
  })

  it('for want of descriptors, what is served goes on, and loads work again when there are some', async () => {
    using folder = tempFolder()
    const input = JSON.stringify({ sources, folder: folder.path })
    const limited = ['-c', 'ulimit -n 300; exec "$@"', 'sh', process.execPath]
    const child = await runProgram('sh', [...limited, fixturePath('out-of-descriptors.mjs'), input])
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'done')).toEqual({
      kind: 'done',
      reason: 'EMFILE',
      swap: 'ERR_MODEL_LOAD',
      load: 'ERR_MODEL_LOAD',
      meanwhile: 2,
      afterwards: [3, 4],
      isReady: true,
      blindKills: 0,
    })
  })
})
