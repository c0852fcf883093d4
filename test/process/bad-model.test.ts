import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import { allocationBomb, constantAnswer, impossibleShape } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { messageOf, runChild, tries } from '../support/run-child.js'

const repository = tempRepository({ answer: { '1': constantAnswer(1) }, bomb: { '1': allocationBomb() } })
const folder = mkdtempSync(join(tmpdir(), 'tbcoin-bad-model-'))
afterAll(() => {
  repository.dispose()
  rmSync(folder, { recursive: true })
})

function file(name: string, content: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const whole = readFileSync(modelPath('ocr-rec', '4'))
const scrambled = Uint8Array.from(whole, (byte, i) => (i % 997 === 0 ? byte ^ 0x55 : byte))
const damaged: Record<string, string> = {
  truncated: file('truncated.onnx', whole.subarray(0, whole.length / 2)),
  headless: file('headless.onnx', whole.subarray(1000)),
  scrambled: file('scrambled.onnx', scrambled),
  text: file('text.onnx', Buffer.from('this is no model\n'.repeat(1000))),
  empty: file('empty.onnx', new Uint8Array()),
  folder,
}

describe('a serving process', () => {
  it('survives damaged files and runs that need petabytes of memory', { repeats: tries - 1 }, async () => {
    const models = ['answer', 'bomb'].map((name) => ({
      name,
      version: '1',
      source: repository.path(name, '1'),
    }))
    const shape = impossibleShape.map(String)
    const child = await runChild('serve-beside-failures.mjs', { input: { models, damaged, shape } })
    // onnxruntime prints no error lines of its own either: they are in the errors.
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const done = messageOf(child, 'done')
    expect(done.loads).toEqual(
      Object.fromEntries(Object.keys(damaged).map((name) => [name, 'ERR_MODEL_LOAD'])),
    )
    expect(done.runs).toEqual(Array(4).fill('ERR_INFERENCE'))
    expect(done).toMatchObject({ small: 'ok', pool: { replicas: 2, idle: 2, restarts: 0 } })
    expect(new Set(done.answers as string[])).toEqual(new Set(['ok']))
  })
})
