import { describe, expect, it } from 'vitest'
import { keyOf, whyNoArtifact } from '../../../src/artifacts/artifact-key.js'

const files = [{ path: '/m.onnx', sha256: 'a'.repeat(64) }]
const options = { intraOpNumThreads: 1, extra: { session: { a: '1', b: '2' } } }

describe('the key of an artifact', () => {
  it('is a hash that depends on neither the place of the files nor the order of options', () => {
    const key = keyOf(files, options)
    expect(key).toMatch(/^[0-9a-f]{64}$/)
    const moved = files.map((file) => ({ ...file, path: '/elsewhere.onnx' }))
    expect(keyOf(moved, { extra: { session: { b: '2', a: '1' } }, intraOpNumThreads: 1 })).toBe(key)
  })

  it.each([
    ['the content of the model', [{ path: '/m.onnx', sha256: 'b'.repeat(64) }], options],
    ['external data', [...files, { path: '/w', sha256: 'c'.repeat(64) }], options],
    ['an option', files, { ...options, intraOpNumThreads: 2 }],
    ['an option inside others', files, { ...options, extra: { session: { a: '1', b: '3' } } }],
  ])('depends on %s', (_, others, other) => {
    expect(keyOf(others, other)).not.toBe(keyOf(files, options))
  })
})

it.each([
  [{}, undefined],
  [{ executionProviders: ['cpu', { name: 'cpu' }] }, undefined],
  [{ executionProviders: [{ name: 'cuda' }, 'cpu'] }, /cuda/],
  [{ optimizedModelFilePath: '/x' }, /optimizedModelFilePath/],
])('whether a model that is loaded with %j has an artifact', (sessionOptions, reason) => {
  const why = whyNoArtifact(sessionOptions)
  if (reason === undefined) expect(why).toBeUndefined()
  else expect(why).toMatch(reason)
})
