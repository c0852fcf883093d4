import { afterAll, describe, expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import { bigLoad } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { abortMarks, messageOf, runChild, tries } from '../support/run-child.js'

const repository = tempRepository({ big: { '1': bigLoad(40) } })
afterAll(() => repository.dispose())

const big = { name: 'big', version: '1', source: repository.path('big', '1') }
const ocr = { name: 'ocr-rec', version: '4', source: modelPath('ocr-rec', '4') }

/** Returns moments between 0 and `lastMs` after a replica has entered native code. */
function moments(lastMs: number): number[] {
  return Array.from({ length: tries }, (_, i) => Math.round((lastMs * i) / Math.max(1, tries - 1)))
}

describe('a host that ends while replicas load two models', () => {
  const input = { models: [big, ocr], replicas: 2, from: 'native' }

  it.each(moments(80))('with process.exit(3) ends with code 3 after %i ms', async (afterMs) => {
    const child = await runChild('end-while-loading.mjs', { input: { ...input, afterMs, end: 'exit' } })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
    expect(messageOf(child, 'ending').states).toContain('initializing')
  })

  it.each(moments(80))('with an uncaught exception ends with code 1 after %i ms', async (afterMs) => {
    const child = await runChild('end-while-loading.mjs', { input: { ...input, afterMs, end: 'throw' } })
    expect(child).toMatchObject({ code: 1, signal: null })
    expect(child.stderr).toContain('Error: thrown by the host')
    expect(child.stderr).not.toMatch(abortMarks)
  })

  it.each(moments(80))('with an unhandled rejection ends with code 1 after %i ms', async (afterMs) => {
    const child = await runChild('end-while-loading.mjs', { input: { ...input, afterMs, end: 'reject' } })
    expect(child).toMatchObject({ code: 1, signal: null })
    expect(child.stderr).toContain('Error: rejected by the host')
    expect(child.stderr).not.toMatch(abortMarks)
  })
})

describe('a host that ends while a replica opens the native library', () => {
  it.each(moments(4))('with process.exit(3) ends with code 3 after %i ms', async (afterMs) => {
    const child = await runChild('end-while-importing.mjs', {
      input: { models: [ocr], afterMs, end: 'exit' },
    })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
    expect(child.messages.map(({ kind }) => kind)).toEqual(['ending'])
  })
})

describe('a host that has nothing left to do but wait for a load', () => {
  it('ends with code 0 when the load is complete', { repeats: tries - 1 }, async () => {
    const input = { models: [big, ocr], replicas: 2, from: 'transition', afterMs: 0, end: 'natural' }
    const child = await runChild('end-while-loading.mjs', { input })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'loaded').outcomes).toEqual(['ok', 'ok'])
  })
})

describe('process.exit(3) from 0 to 195 ms into a load', () => {
  const steps = Array.from({ length: 40 }, (_, i) => i * 5)

  it.each(steps)('ends with code 3 at %i ms', async (afterMs) => {
    const input = { models: [big], replicas: 2, from: 'transition', afterMs, end: 'exit' }
    const child = await runChild('end-while-loading.mjs', { input })
    expect(child).toMatchObject({ code: 3, signal: null, stderr: '' })
  })
})
