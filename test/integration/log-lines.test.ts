import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { runtime, start } from '../support/gated-runtime.js'
import { ask, codeOf, loadGated } from '../support/runtime-harness.js'
import { testLogger } from '../support/test-logger.js'

/** Exact in float32, and found in no time, pid or duration. */
const MARK = 16_777_213
const TEXT = 'a-text-that-is-data'

it('no line of any level holds data of a tensor, whatever becomes of the request', async () => {
  const lines: string[] = []
  const logger = testLogger(({ message, fields }) => {
    lines.push(`${message} ${inspect(fields, { depth: 10, showHidden: true })}`)
  })
  await start({ logger, logLevel: 'trace', restartBackoffMs: 1 })
  await loadGated(runtime, '1', {}, { sample: { input: { x: MARK, do: TEXT } } })
  expect(await ask(runtime, MARK)).toBe(MARK)
  for (const action of ['throw', 'exit']) await codeOf(ask(runtime, MARK, action))
  await ask(runtime, MARK, TEXT)
  expect(await codeOf(runtime.predict('gated', { x: [MARK, MARK], do: TEXT }))).toBe('ERR_INVALID_INPUT')
  await runtime.close()
  // There are lines, also of replicas and of their end.
  expect(lines.join('\n')).toMatch(/gated loader is ready/)
  expect(lines.join('\n')).toMatch(/replica exited/)
  for (const line of lines) {
    expect(line).not.toContain(String(MARK))
    expect(line).not.toContain(TEXT)
  }
})
