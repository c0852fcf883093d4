import { InferenceSession, Tensor } from 'onnxruntime-node'
import { ocrInput } from './ocr-input.js'

/** A run on plain onnxruntime-node, with the options the runtime would use. */
export async function plainRun(source: string): Promise<() => Promise<unknown>> {
  const session = await InferenceSession.create(source, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  const { dims, data } = ocrInput()
  const feeds = { x: new Tensor('float32', data, dims) }
  return () => session.run(feeds)
}
