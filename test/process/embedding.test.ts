import { afterAll, describe, expect, it } from 'vitest'
import { constantAnswer, loop, tripsPerMs } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { abortMarks, messageOf, runChild, tries } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() }, answer: { '1': constantAnswer(1) } })
afterAll(() => repository.dispose())

const models = [{ name: 'loop', version: '1', source: repository.path('loop', '1') }]
const trips = tripsPerMs * 40
const repeats = { repeats: tries - 1 }

describe('a runtime', () => {
  it('is refused in a worker thread, and works there with allowWorkerThread', repeats, async () => {
    const child = await runChild('runtime-in-worker.mjs', { input: { models } })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'done')).toMatchObject({
      refused: { code: 'ERR_INVALID_OPTIONS' },
      answers: ['ok', 'ok', 'ok'],
      closing: { rejected: 0, stuck: [] },
    })
    expect(messageOf(child, 'worker')).toMatchObject({ code: 0 })
  })

  it('is refused with an error code in a working directory that was removed', async () => {
    const child = await runChild('removed-folder.mjs')
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'refused')).toMatchObject({
      code: 'ERR_STARTUP',
      message: expect.stringContaining('ENOENT'),
    })
  })

  it('can be required from CommonJS', async () => {
    const answer = [{ name: 'answer', version: '1', source: repository.path('answer', '1') }]
    const child = await runChild('require-library.cjs', { input: { models: answer } })
    expect(child).toMatchObject({ code: 0, signal: null })
    // Some releases of Node warn that require() loads an ES module.
    expect(child.stderr.replace(/^\(.*(ExperimentalWarning|--trace-warnings).*\n/gm, '')).toBe('')
    expect(messageOf(child, 'done')).toMatchObject({ y: [42], known: true, code: 'ERR_MODEL_NOT_FOUND' })
  })

  it('does not affect a worker of the host', repeats, async () => {
    const child = await runChild('beside-user-worker.mjs', { input: { models, trips } })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'done')).toMatchObject({
      counts: [1, 2, 3, 4],
      wasAlive: true,
      exitCode: 0,
      run: 'ok',
    })
  })
})

describe('closing one of two runtimes while both run', () => {
  it.each([
    ['process.exit(3)', 'exit', 3],
    ['an uncaught exception', 'throw', 1],
    ['its natural end', 'natural', 0],
  ])('leaves the other serving, and the host ends normally at %s', repeats, async (_, end, code) => {
    const child = await runChild('two-runtimes.mjs', { input: { models, trips, end } })
    expect(child).toMatchObject({ code, signal: null })
    expect(child.stderr).not.toMatch(abortMarks)
    if (end !== 'throw') expect(child.stderr).toBe('')
    const ending = messageOf(child, 'ending')
    expect(ending).toMatchObject({
      first: { submitted: 3, answered: 3 },
      second: { submitted: 6, rejected: {} },
      after: { submitted: 1, rejected: { ERR_RUNTIME_CLOSED: 1 } },
    })
  })
})
