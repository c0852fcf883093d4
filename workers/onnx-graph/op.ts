import type { Graph, GraphNode } from './graph.js'
import { isDependent, type Size, shared, type Trace, unclear } from './trace.js'

/** Why a model must not be batched: a whole sentence. */
export class Refusal {
  constructor(readonly reason: string) {}
}

/** What a node gives: one trace for all its outputs, one for each, or why the model must not be batched. */
export type Outcome = Trace | readonly Trace[] | Refusal

/** What an operator does to the batch. */
export type Rule = (op: Op) => Outcome

/** Interprets a node's subgraph, which sees the names around it: its outputs. */
export type RunGraph = (graph: Graph, inputs: readonly Trace[]) => readonly Trace[] | Refusal

/** A node with what is known of its inputs. */
export class Op {
  readonly type: string

  constructor(
    readonly node: GraphNode,
    readonly inputs: readonly (Trace | undefined)[],
    /** Version of the node's domain. */
    readonly opset: number,
    readonly run: RunGraph,
  ) {
    this.type = node.op
  }

  /** The first input; one that is left out counts as a constant. */
  get first(): Trace {
    return this.inputs[0] ?? shared(undefined)
  }

  get present(): readonly Trace[] {
    return this.inputs.filter((trace) => trace !== undefined)
  }

  /** Whether an input depends on the rows. */
  get isDependent(): boolean {
    return this.inputs.some(isDependent)
  }

  /** Whether an input other than these depends on the rows. */
  isDependentBeside(...places: readonly number[]): boolean {
    return this.inputs.some((trace, place) => !places.includes(place) && isDependent(trace))
  }

  /** An outcome about which only this is known: whether it depends on the rows. */
  unsure(rank?: number): Trace {
    return this.isDependent ? unclear(rank) : shared(rank)
  }

  int(name: string): number | undefined {
    return this.node.attributes.get(name)?.int
  }

  ints(name: string): readonly number[] | undefined {
    return this.node.attributes.get(name)?.ints
  }

  string(name: string): string | undefined {
    return this.node.attributes.get(name)?.string
  }

  graph(name: string): Graph | undefined {
    return this.node.attributes.get(name)?.graphs?.[0]
  }

  /** Numbers which older versions take from an attribute and newer ones from an input. */
  numbers(name: string, place: number): readonly Size[] | 'absent' | 'unknown' {
    const attribute = this.node.attributes.get(name)
    if (attribute?.ints !== undefined) return attribute.ints
    if (attribute?.int !== undefined) return [attribute.int]
    const input = this.inputs[place]
    return input === undefined ? 'absent' : (input.sizes ?? 'unknown')
  }

  /** `numbers` for axes: all of them known, or 'unknown'. */
  axes(name: string, place: number): readonly number[] | 'absent' | 'unknown' {
    const numbers = this.numbers(name, place)
    if (typeof numbers === 'string') return numbers
    const known = numbers.filter((each) => typeof each === 'number')
    return known.length === numbers.length ? known : 'unknown'
  }

  /** `does` completes the sentence that the operator and the node's name begin. */
  refuse(does: string): Refusal {
    const { name, outputs } = this.node
    return new Refusal(`${this.type} "${name || (outputs.find((output) => output !== '') ?? '')}" ${does}`)
  }

  /** `refuse` for what an operator does along one or more axes of a tensor. */
  refuseAxis(does: string, trace: Trace): Refusal {
    const what = trace.axis === 'unknown' ? 'axis 0, which may be the batch axis' : 'the batch axis'
    return this.refuse(`${does} ${what}`)
  }
}
