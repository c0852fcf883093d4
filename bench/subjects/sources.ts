import { modelPath } from '../../models/catalogue.js'
import { mlp } from '../../models/synthetic/graphs.js'
import { model, node, value } from '../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import type { SubjectName } from './subjects.js'

/** Paths of the models; those that are built in code are deleted on disposal. */
export interface Sources extends Disposable {
  readonly paths: Readonly<Record<SubjectName, string>>
}

/** Writes the models that are built in code and returns the paths of all models. */
export function subjectSources(): Sources {
  const built = tempRepository({ iris: { '1': mlp() }, wide: { '1': mean(150_000) } })
  return {
    paths: {
      iris: built.path('iris', '1'),
      vad6: modelPath('vad', '6'),
      cls: modelPath('ocr-cls', '2'),
      rec: modelPath('ocr-rec', '4'),
      det: modelPath('ocr-det', '4'),
      detypify: modelPath('detypify', '0.2.4'),
      wide: built.path('wide', '1'),
    },
    [Symbol.dispose]: () => built.dispose(),
  }
}

/** Returns a model: x float32[length] -> y float32[1], the mean; a large input with little to compute. */
function mean(length: number): Uint8Array {
  return model({
    inputs: [value('x', 'float32', [length])],
    outputs: [value('y', 'float32', [1])],
    nodes: [node('ReduceMean', ['x'], ['y'], { axes: [0], keepdims: 1 })],
  })
}
