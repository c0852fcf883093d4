import { expect, it } from 'vitest'
import { messageOf, runChild } from '../support/run-child.js'

const module = new URL('../../dist/src/memory/gc-ballast.js', import.meta.url).href

it('large outputs cause fewer full collections on the main thread with ballast than without', async () => {
  const child = await runChild('large-answers.mjs', { input: { module, answers: 1_024 } })
  expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
  const counts = messageOf(child, 'collections') as unknown as { without: number; with: number }
  expect(counts.with).toBeGreaterThan(0)
  expect(counts.with * 1.5).toBeLessThan(counts.without)
})
