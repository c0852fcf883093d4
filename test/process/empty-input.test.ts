import { expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import { largestThree, recurrent } from '../../models/synthetic/fault-graphs.js'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { messageOf, runChild } from '../support/run-child.js'

const speech = (rows: number) => ({ input: [rows, 576], state: [2, rows, 128], sr: [] })

it('a request without rows crashes no process, whichever operator would crash', async () => {
  using cache = tempFolder()
  using repository = tempRepository({
    answer: { '1': constantAnswer(1) },
    lstm: { '1': recurrent('LSTM') },
    gru: { '1': recurrent('GRU') },
    rnn: { '1': recurrent('RNN') },
    largest: { '1': largestThree() },
  })
  const small = (name: string, ...dims: number[]) => ({
    name,
    source: repository.path(name, '1'),
    dims: { x: dims },
  })
  const requests = [
    small('lstm', 5, 0, 2),
    small('gru', 5, 0, 2),
    small('rnn', 5, 0, 2),
    small('largest', 0, 6),
    { name: 'vad5', source: modelPath('vad', '5'), dims: speech(0) },
    { name: 'vad6', source: modelPath('vad', '6'), dims: speech(0) },
    { ...small('lstm', 5, 0, 2), name: 'untried', config: { probe: 'off' } },
  ]
  const input = { cacheDir: cache.path, answer: repository.path('answer', '1'), requests }
  const first = await runChild('ask-for-no-rows.mjs', { input, limitMs: 120_000 })
  expect(first).toMatchObject({ code: 0, signal: null })
  const { outcomes, answer } = messageOf(first, 'done') as { outcomes?: object; answer?: string }
  expect(answer).toBe('ok')
  const refused = { code: 'ERR_INVALID_INPUT', message: expect.stringMatching(/has size 0 along axis/) }
  for (const name of ['lstm', 'gru', 'largest', 'vad5', 'vad6', 'untried']) {
    expect(outcomes).toHaveProperty(name, expect.objectContaining(refused))
  }
  // A process that finds the cache knows the result without another probe.
  const again = await runChild('ask-for-no-rows.mjs', { input, limitMs: 120_000 })
  expect(messageOf(again, 'done')).toEqual(messageOf(first, 'done'))
}, 300_000)
