import { describe, expect, it } from 'vitest'
import { keyOf, machineTraits, whyNoArtifact } from '../../../src/artifacts/artifact-key.js'
import { onnxRuntime } from '../../../src/artifacts/onnx-runtime.js'

const files = [{ path: '/m.onnx', sha256: 'a'.repeat(64) }]
const machine = ['linux', 'x64', '1.30.0', 'avx2']
const options = { intraOpNumThreads: 1, extra: { session: { a: '1', b: '2' } } }

describe('the key of an artifact', () => {
  it('is a hash that ignores where the files are and the order of options', () => {
    const key = keyOf(files, machine, options)
    expect(key).toMatch(/^[0-9a-f]{64}$/)
    const moved = files.map((file) => ({ ...file, path: '/elsewhere.onnx' }))
    expect(keyOf(moved, machine, { extra: { session: { b: '2', a: '1' } }, intraOpNumThreads: 1 })).toBe(key)
  })

  it.each([
    ['the content of the model', [{ path: '/m.onnx', sha256: 'b'.repeat(64) }], machine, options],
    ['external data', [...files, { path: '/w', sha256: 'c'.repeat(64) }], machine, options],
    ['what the processor can do', files, [...machine.slice(0, -1), 'avx512'], options],
    ['an option', files, machine, { ...options, intraOpNumThreads: 2 }],
    ['an option inside others', files, machine, { ...options, extra: { session: { a: '1', b: '3' } } }],
  ])('depends on %s', (_, others, elsewhere, other) => {
    expect(keyOf(others, elsewhere, other)).not.toBe(keyOf(files, machine, options))
  })
})

it.each([
  [{}, undefined],
  [{ executionProviders: ['cpu', { name: 'cpu' }] }, undefined],
  [{ executionProviders: [{ name: 'cuda' }, 'cpu'] }, /cuda/],
  [{ optimizedModelFilePath: '/x' }, /optimizedModelFilePath/],
])('whyNoArtifact accepts or rejects the session options %j', (sessionOptions, reason) => {
  const why = whyNoArtifact(sessionOptions)
  if (reason === undefined) expect(why).toBeUndefined()
  else expect(why).toMatch(reason)
})

it('the traits of a machine are stable and include the installed version of onnxruntime', () => {
  const traits = machineTraits()
  expect(machineTraits()).toEqual(traits)
  expect(traits).toHaveLength(4)
  expect(traits).toContain(onnxRuntime.version())
})
