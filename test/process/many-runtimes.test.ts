import { expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { messageOf, runChild } from '../support/run-child.js'

it('thirty runtimes that load at the same time share their listeners, and leave none behind', async () => {
  using folder = tempFolder()
  using models = tempRepository({ m: { '1': constantAnswer(1) } })
  const count = 30
  const child = await runChild('many-runtimes.mjs', {
    input: { count, source: models.path('m', '1'), folder: folder.path },
    limitMs: 290_000,
  })
  expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
  const done = messageOf(child, 'done')
  expect(done).toMatchObject({ answers: [2], warnings: [] })
  expect(done.builders).toBeGreaterThan(count)
  expect(done.after).toEqual(done.before)
  expect(done.most).toBeLessThan(count)
}, 300_000)
