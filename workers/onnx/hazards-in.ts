import { SHARED } from '../../src/tensors/batch/batch-plan.js'
import type { Signature } from '../../src/tensors/tensor.js'
import type { Hazards } from '../batch-proof/batch-prover.js'
import { batchHazard } from '../onnx-graph/batch-hazard.js'
import type { OnnxGraph } from '../onnx-graph/file/graph.js'
import { readGraph } from '../onnx-graph/file/read-graph.js'
import { madeUpHazard } from './made-up-hazard.js'

/** Types of inputs without integers other than 0 and 1. */
const NO_INTEGERS: readonly string[] = ['float32', 'float64', 'float16', 'string', 'bool']

/**
 * Returns the hazards of a model according to its file. The file is read when they are first requested;
 * `check` then throws if it is not the file that was loaded.
 */
export function hazardsIn(source: string, { inputs }: Signature, check: () => void): Hazards {
  let read: OnnxGraph | string | undefined
  const graphOrReason = (): OnnxGraph | string => {
    read ??= tryToRead(source, check)
    return read
  }
  return {
    ofBatch(axes) {
      const graph = graphOrReason()
      if (typeof graph === 'string') return graph
      const batched = inputs.flatMap(({ name }, index): [string, number][] => {
        const axis = axes[index] as number
        return axis === SHARED ? [] : [[name, axis]]
      })
      return batchHazard(graph, new Map(batched))
    },
    ofMadeUp() {
      const graph = graphOrReason()
      if (typeof graph === 'string') return graph
      const integers = inputs.filter(({ type }) => !NO_INTEGERS.includes(type)).map(({ name }) => name)
      return madeUpHazard(graph, new Set(integers))
    },
  }
}

function tryToRead(source: string, check: () => void): OnnxGraph | string {
  try {
    const graph = readGraph(source)
    check()
    return graph
  } catch (error) {
    return `its graph cannot be read: ${(error as Error).message}`
  }
}
