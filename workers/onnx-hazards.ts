import { SHARED } from '../src/tensors/batch-plan.js'
import type { Signature } from '../src/tensors/tensor.js'
import { batchHazard } from './onnx-graph/batch-hazard.js'
import type { OnnxGraph } from './onnx-graph/graph.js'
import { readGraph } from './onnx-graph/read-graph.js'

/**
 * What a model file itself tells against batching inputs along these axes: a reason, or undefined. The
 * file is read on the first call; `check` then throws if it is not the one that was loaded.
 */
export function hazardsIn(
  source: string,
  { inputs }: Signature,
  check: () => void,
): (axes: readonly number[]) => string | undefined {
  let graph: OnnxGraph | string | undefined
  return (axes) => {
    graph ??= read(source, check)
    if (typeof graph === 'string') return graph
    const batched = inputs.flatMap(({ name }, index): [string, number][] => {
      const axis = axes[index] as number
      return axis === SHARED ? [] : [[name, axis]]
    })
    return batchHazard(graph, new Map(batched))
  }
}

function read(source: string, check: () => void): OnnxGraph | string {
  try {
    const graph = readGraph(source)
    check()
    return graph
  } catch (error) {
    return `its graph cannot be read: ${(error as Error).message}`
  }
}
