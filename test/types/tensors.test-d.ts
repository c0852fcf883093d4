import type {
  ModelInput,
  Outputs,
  Signature,
  Tensor,
  TensorData,
  TensorDataMap,
  TensorType,
} from 'tbcoin-engine'
import { describe, expectTypeOf, it } from 'vitest'

describe('a tensor', () => {
  it('has the data of its type', () => {
    expectTypeOf<Tensor<'float32'>['data']>().toEqualTypeOf<Float32Array>()
    expectTypeOf<Tensor<'float16'>['data']>().toEqualTypeOf<Uint16Array>()
    expectTypeOf<Tensor<'int64'>['data']>().toEqualTypeOf<BigInt64Array>()
    expectTypeOf<Tensor<'bool'>['data']>().toEqualTypeOf<Uint8Array>()
    expectTypeOf<Tensor<'string'>['data']>().toEqualTypeOf<string[]>()
    expectTypeOf<Tensor['data']>().toEqualTypeOf<TensorData>()
    expectTypeOf<keyof TensorDataMap>().toEqualTypeOf<TensorType>()
  })

  it('cannot have the data of another type', () => {
    // @ts-expect-error float32 is held in a Float32Array
    const wrong: Tensor<'float32'> = { type: 'float32', dims: [1], data: Float64Array.of(1) }
    void wrong
    // @ts-expect-error no such type
    void ({} as Tensor<'bfloat16'>)
  })

  it('is found by name in the outputs, if it is there', () => {
    const outputs = {} as Outputs
    expectTypeOf(outputs.y).toEqualTypeOf<Tensor | undefined>()
    // @ts-expect-error it may not be there
    void outputs.y.data
    expectTypeOf(outputs.y?.type).toEqualTypeOf<TensorType | undefined>()
    expectTypeOf<Outputs[string]['dims']>().toEqualTypeOf<readonly number[]>()
  })
})

describe('an input', () => {
  it('may be anything that can become a tensor', () => {
    const input: ModelInput = {
      tensor: { type: 'float32', dims: [1], data: Float32Array.of(1) },
      ortTensor: { type: 'int64', dims: [1], data: BigInt64Array.of(1n), location: 'cpu' } as Tensor,
      typed: Float32Array.of(1),
      buffer: Buffer.from([1]),
      number: 1,
      bigint: 1n,
      boolean: true,
      text: 'a',
      texts: ['a', 'b'],
      nested: [
        [1, 2],
        [3, 4],
      ],
      rows: [Float32Array.of(1), Float32Array.of(2)],
    }
    expectTypeOf(input).toEqualTypeOf<ModelInput>()
  })

  it('cannot be nothing, a function, a promise or an object of no shape', () => {
    // @ts-expect-error undefined is no value
    void ({ x: undefined } satisfies ModelInput)
    // @ts-expect-error null is no value
    void ({ x: null } satisfies ModelInput)
    // @ts-expect-error a function is no value
    void ({ x: () => 1 } satisfies ModelInput)
    // @ts-expect-error an await is missing
    void ({ x: Promise.resolve(1) } satisfies ModelInput)
    // @ts-expect-error dims are missing
    void ({ x: { type: 'float32', data: Float32Array.of(1) } } satisfies ModelInput)
  })
})

describe('a signature', () => {
  it('names types and sizes, free ones by a name', () => {
    expectTypeOf<Signature['inputs'][number]>().toEqualTypeOf<{
      readonly name: string
      readonly type: TensorType
      readonly dims: readonly (number | string)[]
    }>()
  })
})
