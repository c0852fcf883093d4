import type { Graph, GraphNode, GraphTensor, OnnxGraph } from './graph.js'
import { Op, type Outcome, Refusal, type Rule } from './op.js'
import { attentionRules } from './rules/attention.js'
import { controlFlowRules } from './rules/control-flow.js'
import { elementwiseRules } from './rules/elementwise.js'
import { imageRules } from './rules/image.js'
import { indexingRules } from './rules/indexing.js'
import { matmulRules } from './rules/matmul.js'
import { dynamicRule } from './rules/quantize.js'
import { recurrentRules } from './rules/recurrent.js'
import { reduceRules } from './rules/reduce.js'
import { shapeRules } from './rules/shape.js'
import { sizesOf } from './sizes.js'
import { batched, isDependent, type Size, shared, type Trace, unclear } from './trace.js'

const rules: ReadonlyMap<string, Rule> = new Map(
  [
    attentionRules,
    controlFlowRules,
    elementwiseRules,
    imageRules,
    indexingRules,
    matmulRules,
    recurrentRules,
    reduceRules,
    shapeRules,
  ].flatMap((each) => [...each]),
)

/** The domains whose operators the rules are about. */
const knownDomains: readonly string[] = ['', 'com.microsoft']

/**
 * Why a model must not be batched, as far as its graph tells without a run: the first node found
 * through which the rows of a batch would change each other's answers. Undefined is no proof that
 * there is none: what an unknown operator does, and what becomes of it, is not judged.
 *
 * @param batchAxes - By input, the axis of the rows; an input that is absent is shared by all rows.
 */
export function batchHazard(graph: OnnxGraph, batchAxes: ReadonlyMap<string, number>): string | undefined {
  const outcome = new Interpreter(graph, batchAxes).run()
  return outcome instanceof Refusal ? outcome.reason : undefined
}

/** The names a graph sees: its own and those around it. */
class Scope {
  readonly #traces = new Map<string, Trace>()

  constructor(readonly outer?: Scope) {}

  set(name: string, trace: Trace): void {
    if (name !== '') this.#traces.set(name, trace)
  }

  get(name: string): Trace | undefined {
    return this.#traces.get(name) ?? this.outer?.get(name)
  }
}

class Interpreter {
  readonly #graph: OnnxGraph
  readonly #batchAxes: ReadonlyMap<string, number>

  constructor(graph: OnnxGraph, batchAxes: ReadonlyMap<string, number>) {
    this.#graph = graph
    this.#batchAxes = batchAxes
  }

  run(): readonly Trace[] | Refusal {
    const inputs = this.#graph.inputs.map(({ name, dims }) => {
      const axis = this.#batchAxes.get(name)
      const byDefault = this.#graph.initializers.get(name)
      if (axis !== undefined) return batched(axis, dims?.length)
      return byDefault === undefined ? shared(dims?.length) : constant(byDefault)
    })
    return this.#runGraph(this.#graph, inputs, undefined)
  }

  #runGraph(graph: Graph, inputs: readonly Trace[], outer: Scope | undefined): readonly Trace[] | Refusal {
    const scope = new Scope(outer)
    for (const [name, tensor] of graph.initializers) scope.set(name, constant(tensor))
    for (const [at, { name, dims }] of graph.inputs.entries()) {
      const trace = inputs[at] ?? unclear()
      scope.set(name, trace.rank === undefined ? { ...trace, rank: dims?.length } : trace)
    }
    for (const node of graph.nodes) {
      const outcome = this.#runNode(node, scope)
      if (outcome instanceof Refusal) return outcome
      for (const [at, name] of node.outputs.entries()) {
        const trace = 'axis' in outcome ? outcome : (outcome[at] ?? unclear())
        const rank = trace.rank ?? graph.ranks.get(name)
        scope.set(name, rank === trace.rank ? trace : { ...trace, rank })
      }
    }
    return graph.outputs.map(({ name }) => scope.get(name) ?? unclear())
  }

  #runNode(node: GraphNode, scope: Scope): Outcome {
    if (node.op === 'Constant' && node.domain === '') return constantNode(node)
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (scope.get(name) ?? unclear())))
    const opset = this.#graph.opsets.get(node.domain) ?? 1
    const op = new Op(node, inputs, opset, (body, given) => this.#runGraph(body, given, scope))
    const rule = dynamicRule(node.op) ?? (knownDomains.includes(node.domain) ? rules.get(node.op) : undefined)
    const outcome = rule === undefined ? this.#unknown(op, scope) : rule(op)
    const sizes = sizesOf(op)
    if (sizes === undefined || !('axis' in outcome) || outcome.axis !== 'none') return outcome
    return shared(outcome.rank, sizes)
  }

  /** An operator nobody knows passes on what it depends on, through its bodies too. */
  #unknown(op: Op, scope: Scope): Outcome {
    const reads = [...op.node.attributes.values()].flatMap(({ graphs = [] }) => graphs.flatMap(readNames))
    return op.isDependent || reads.some((name) => isDependent(scope.get(name)))
      ? unclear()
      : shared(undefined)
  }
}

function readNames(graph: Graph): string[] {
  const inner = graph.nodes.flatMap((node) => [
    ...node.inputs,
    ...[...node.attributes.values()].flatMap(({ graphs = [] }) => graphs.flatMap(readNames)),
  ])
  return [...inner, ...graph.outputs.map(({ name }) => name)]
}

function constant(tensor: GraphTensor): Trace {
  return shared(tensor.dims.length, tensor.values)
}

function constantNode(node: GraphNode): Trace {
  const { attributes } = node
  const tensor = attributes.get('value')?.tensor
  if (tensor !== undefined) return constant(tensor)
  const one = attributes.get('value_int')?.int
  const list: readonly Size[] | undefined = attributes.get('value_ints')?.ints
  if (one !== undefined) return shared(0, [one])
  if (list !== undefined) return shared(1, list)
  if (attributes.has('value_float') || attributes.has('value_string')) return shared(0)
  return shared(attributes.has('value_floats') || attributes.has('value_strings') ? 1 : undefined)
}
