import type { Graph, GraphNode } from '../file/graph.js'
import { nameOf } from './op.js'
import type { RefusedTrace, Trace } from './trace.js'

/** What a node with subgraphs needs of the interpreter. */
export interface Bodies {
  /** The outputs of a subgraph, which sees the names around it. */
  run(graph: Graph, inputs: readonly Trace[]): readonly Trace[]
  /** `run` for what may run any number of times. */
  repeat(graph: Graph, inputs: readonly Trace[]): readonly Trace[]
  /** Takes one of two ways, and has the whole graph followed along the other too; undefined: not here. */
  fork(): boolean | undefined
}

/** What an operator with subgraphs or sequences does to the batch: one trace for all its outputs, or one for each. */
export type FlowRule = (flow: Flow) => Trace | readonly Trace[]

let slots = 0

/** A node that is more than a function of tensors, with what is known of its inputs. */
export class Flow {
  /** Begins the names of sizes that are the node's own. */
  readonly slot: string

  readonly node: GraphNode
  /** Undefined: left out. */
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

  /** `does` completes the sentence that the operator and the node's name begin. */
  readonly refuse = (does: string): RefusedTrace => ({ refused: `${nameOf(this.node)} ${does}` })
}
