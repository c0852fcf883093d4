import type { PlainInput, PlainTensor } from './plain.js'

/** Measured model, with inputs that differ from each other. */
export interface Subject {
  readonly title: string
  /** Number of prepared inputs, which is smaller for large ones. */
  readonly inputs: number
  input(index: number): PlainInput
}

export const SUBJECT_NAMES = ['iris', 'vad6', 'cls', 'rec', 'det', 'detypify', 'wide'] as const
export type SubjectName = (typeof SUBJECT_NAMES)[number]

export const SUBJECTS: Readonly<Record<SubjectName, Subject>> = {
  iris: {
    title: 'iris MLP',
    inputs: 128,
    input: (index) => ({ x: wave([1, 4], index) }),
  },
  vad6: {
    title: 'Silero VAD v6',
    inputs: 128,
    input: (index) => ({
      input: wave([1, 576], index, 0.2),
      state: wave([2, 1, 128], index, 0.1),
      sr: { type: 'int64', dims: [], data: BigInt64Array.of(16_000n) },
    }),
  },
  cls: {
    title: 'PP-OCR cls',
    inputs: 101,
    input: (index) => ({ x: wave([1, 3, 48, 192], index) }),
  },
  rec: {
    title: 'PP-OCR rec',
    inputs: 16,
    input: (index) => ({ x: wave([1, 3, 48, 320], index) }),
  },
  det: {
    title: 'PP-OCR det',
    inputs: 4,
    input: (index) => ({ x: wave([1, 3, 640, 640], index) }),
  },
  detypify: {
    title: 'detypify',
    inputs: 128,
    input: (index) => ({ 'input.1': wave([1, 1, 32, 32], index) }),
  },
  wide: {
    title: '600 KB in, mean out',
    inputs: 32,
    input: (index) => ({ x: wave([150_000], index) }),
  },
}

/** Returns all prepared inputs of a subject. */
export function inputsOf(name: SubjectName): PlainInput[] {
  const { inputs, input } = SUBJECTS[name]
  return Array.from({ length: inputs }, (_, index) => input(index))
}

/** Returns repeatable values, each of which depends on `index`. */
function wave(dims: readonly number[], index: number, scale = 1): PlainTensor {
  const data = new Float32Array(dims.reduce((product, size) => product * size, 1))
  const step = 0.37 + index * 0.0113
  for (let at = 0; at < data.length; at += 1) data[at] = scale * Math.sin(at * step + index)
  return { type: 'float32', dims, data }
}
