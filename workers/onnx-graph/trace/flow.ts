import type { Graph, GraphNode } from '../file/graph.js'
import { nameOf } from './op.js'
import type { RefusedTrace, Trace } from './trace.js'

/** The operations of the interpreter that nodes with subgraphs use. */
export interface Bodies {
  /** Returns the outputs of a subgraph, which can read the names around it. */
  run(graph: Graph, inputs: readonly Trace[]): readonly Trace[]
  /** Like `run`, for a subgraph that may run any number of times. */
  repeat(graph: Graph, inputs: readonly Trace[]): readonly Trace[]
  /**
   * Chooses one of two ways; the whole graph is followed along the other one too. Returns undefined if that
   * is not possible.
   */
  fork(): boolean | undefined
}

/**
 * The effect of an operator with subgraphs or sequences on the batch: one trace for all its outputs, or one
 * for each.
 */
export type FlowRule = (flow: Flow) => Trace | readonly Trace[]

let slots = 0

/** A node with subgraphs or sequences, with the traces of its inputs. */
export class Flow {
  /** Prefix of the names of sizes that belong to the node. */
  readonly slot: string

  readonly node: GraphNode
  /** Undefined for an input that is left out. */
  readonly inputs: readonly (Trace | undefined)[]
  readonly opset: number
  readonly bodies: Bodies

  constructor(node: GraphNode, inputs: readonly (Trace | undefined)[], opset: number, bodies: Bodies) {
    this.node = node
    this.inputs = inputs
    this.opset = opset
    this.bodies = bodies
    slots += 1
    this.slot = `@${slots}`
  }

  int(name: string): number | undefined {
    return this.node.attributes.get(name)?.int
  }

  ints(name: string): readonly number[] | undefined {
    return this.node.attributes.get(name)?.ints
  }

  graph(name: string): Graph | undefined {
    return this.node.attributes.get(name)?.graphs?.[0]
  }

  /** Returns a refusal; `does` completes the sentence that the operator and the node's name begin. */
  readonly refuse = (does: string): RefusedTrace => ({ refused: `${nameOf(this.node)} ${does}` })
}
