import type { Outputs, Signature } from '../../src/tensors/tensor.js'
import {
  createTestRuntime,
  type TestModel,
  type TestRuntime,
  type TestRuntimeOptions,
  type TestVersion,
} from '../../src/testing/index.js'

/** x float32[1] -> y float32[1]. */
export const oneNumber: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: [1] }],
  outputs: [{ name: 'y', type: 'float32', dims: [1] }],
}

/** Returns a version that multiplies by `factor`. */
export function times(factor: number, rest: Partial<TestVersion> = {}): TestVersion {
  return { answer: ({ x }) => ({ y: factor * Number(x?.data[0]) }), ...rest }
}

/** Resolves with a runtime that serves the model `m`. */
export function serve(
  versions: Readonly<Record<string, TestVersion>>,
  options: Omit<TestRuntimeOptions, 'models'> = {},
  model: Partial<TestModel> = {},
): Promise<TestRuntime> {
  return createTestRuntime({ ...options, models: { m: { signature: oneNumber, versions, ...model } } })
}

export function yOf({ y }: Outputs): number {
  return Number(y?.data[0])
}

/** Resolves with the outcome of a request: its `y`, or the code of its error. */
export function outcomeOf(request: Promise<Outputs>): Promise<number | string> {
  return request.then(yOf, (error: { code: string }) => error.code)
}
