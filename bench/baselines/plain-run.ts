import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { PlainInput, PlainOutput } from '../subjects/plain.js'

export type Feeds = Record<string, Tensor>

/** Creates a session of plain onnxruntime-node, with the options that the runtime uses. */
export function plainSession(source: string): Promise<InferenceSession> {
  return InferenceSession.create(source, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 })
}

export function feedsOf(input: PlainInput): Feeds {
  return Object.fromEntries(
    Object.entries(input).map(([name, { type, dims, data }]) => [name, new Tensor(type, data, dims)]),
  )
}

/** Returns the outputs as plain objects, since tensors lose their data when they are cloned. */
export function sendable(outputs: InferenceSession.ReturnType): Record<string, PlainOutput> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [
      name,
      { dims, data: data as ArrayLike<unknown> },
    ]),
  )
}

export function buffersOf(outputs: Readonly<Record<string, PlainOutput>>): ArrayBuffer[] {
  return Object.values(outputs).map(({ data }) => (data as Float32Array<ArrayBuffer>).buffer)
}
