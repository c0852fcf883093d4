import { describe, expect, it } from 'vitest'
import type { ModelConfig } from '../../../../src/config/runtime-options.js'
import { warmUpFrom } from '../../../../src/models/loading/warm-up.js'
import type { Outputs, Signature, TensorData, TensorType } from '../../../../src/tensors/tensor.js'

const subject = { model: 'vad', version: '5' }
const signature: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: [2] }],
  outputs: [
    { name: 'y', type: 'float32', dims: [2] },
    { name: 'n', type: 'int64', dims: [1] },
    { name: 's', type: 'string', dims: [1] },
  ],
}

type Sample = NonNullable<ModelConfig['sample']>

const answer = (over: Partial<Outputs> = {}): Outputs => ({
  y: tensor('float32', Float32Array.of(1, 2)),
  n: tensor('int64', BigInt64Array.of(3n)),
  s: tensor('string', ['yes']),
  ...(over as Outputs),
})

function tensor(type: TensorType, data: TensorData, dims: number[] = [data.length]) {
  return { type, dims, data }
}

/** Checks `outputs` against `expected`; returns the mismatch, or undefined if they agree. */
function judge(
  expected: Sample['output'],
  outputs: Outputs,
  tolerance: Partial<Sample> = {},
): string | undefined {
  const warmUp = warmUpFrom(
    { input: { x: [1, 2] }, rtol: 1e-3, atol: 1e-5, ...tolerance, output: expected },
    subject,
  )
  warmUp?.inputs(signature)
  try {
    warmUp?.check(outputs)
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_WARMUP', ...subject })
    return (error as Error).message
  }
  return undefined
}

describe('a warm-up sample', () => {
  it('is optional', () => {
    expect(warmUpFrom(undefined, subject)).toBeUndefined()
  })

  it('becomes inputs of the signature', () => {
    const inputs = warmUpFrom({ input: { x: [1, 2] }, rtol: 0, atol: 0 }, subject)?.inputs(signature)
    expect(inputs).toEqual([tensor('float32', Float32Array.of(1, 2))])
  })

  it('that does not fit the signature fails the warm-up with the reason', () => {
    const warmUp = warmUpFrom({ input: { x: [1, 2, 3] }, rtol: 0, atol: 0 }, subject)
    expect(() => warmUp?.inputs(signature)).toThrow(
      expect.objectContaining({
        code: 'ERR_WARMUP',
        ...subject,
        message: expect.stringMatching(/sample\.input .*"x"/),
        cause: expect.objectContaining({ code: 'ERR_INVALID_INPUT' }),
      }),
    )
  })

  it('without expected outputs accepts any outputs', () => {
    expect(judge(undefined, answer({ y: tensor('float32', Float32Array.of(Number.NaN, 0)) }))).toBeUndefined()
  })

  it('accepts the expected values of all or some outputs', () => {
    expect(judge({ y: [1, 2], n: [3n], s: ['yes'] }, answer())).toBeUndefined()
    expect(judge({ n: [3] }, answer())).toBeUndefined()
  })

  it('accepts floats within its tolerance and no others', () => {
    const near = answer({ y: tensor('float32', Float32Array.of(1.0005, 2)) })
    expect(judge({ y: [1, 2] }, near)).toBeUndefined()
    expect(judge({ y: [1, 2] }, near, { rtol: 1e-5 })).toMatch(/"y" .*1\.000.* at 0, expected 1/)
    expect(judge({ y: [1, 2] }, near, { rtol: 0, atol: 1e-3 })).toBeUndefined()
  })

  it('accepts NaN for NaN and infinity for infinity', () => {
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number
    const odd = answer({ y: tensor('float32', Float32Array.of(nan, inf)) })
    expect(judge({ y: [nan, inf] }, odd)).toBeUndefined()
    expect(judge({ y: [1, inf] }, odd)).toMatch(/NaN at 0/)
  })

  it.each([
    [Number.POSITIVE_INFINITY, 1],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 0],
    [1, Number.POSITIVE_INFINITY],
  ])('that expects %d does not accept %d', (want, got) => {
    const outputs = answer({ y: tensor('float32', Float32Array.of(got, 2)) })
    expect(judge({ y: [want, 2] }, outputs)).toMatch(/at 0, expected/)
  })

  it('accepts integers and strings only when they are equal', () => {
    expect(judge({ n: [4n] }, answer())).toMatch(/"n" .*3 at 0, expected 4/)
    expect(judge({ s: ['no'] }, answer())).toMatch(/"s" .*yes at 0, expected no/)
  })

  it('rejects outputs of another shape', () => {
    const other = answer({ y: tensor('float32', Float32Array.of(1, 2, 3)) })
    expect(judge({ y: [1, 2] }, other)).toMatch(/dims \[3\], expected \[2\]/)
  })

  it('that names an unknown output fails the warm-up', () => {
    expect(judge({ z: [1] }, answer())).toMatch(/sample\.output .*"z"/)
  })

  it('fails the warm-up when an expected output is missing', () => {
    const { y: _, ...rest } = answer()
    expect(judge({ y: [1, 2] }, rest)).toMatch(/"y"/)
  })

  it('compares float16 outputs by value, not by bits', () => {
    const halves: Signature = { inputs: [], outputs: [{ name: 'h', type: 'float16', dims: [1] }] }
    const warmUp = warmUpFrom({ input: {}, output: { h: [1] }, rtol: 1e-2, atol: 0 }, subject)
    warmUp?.inputs(halves)
    // 0x3c01 is the next float16 after 1: the value is within a hundredth, the bit pattern differs by one.
    expect(() => warmUp?.check({ h: tensor('float16', Uint16Array.of(0x3c01)) })).not.toThrow()
    // 0x3c64 is 1.098: the value differs by a tenth, although the bits are within a hundredth of those of 1.
    expect(() => warmUp?.check({ h: tensor('float16', Uint16Array.of(0x3c64)) })).toThrow(/h/)
  })
})
