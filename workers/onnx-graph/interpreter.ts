import { flowRuleOf, ruleOf } from './all-rules.js'
import {
  functionKey,
  type Graph,
  type GraphAttributes,
  type GraphFunction,
  type GraphNode,
  type GraphTensor,
  type GraphValue,
  type OnnxGraph,
  type Opsets,
} from './file/graph.js'
import { shapeInputs } from './rules/shape.js'
import { type Bodies, Flow } from './trace/flow.js'
import { foldOf } from './trace/fold-of.js'
import { freshSize, nameOf, Op, type Outcome, type Rule, withNames } from './trace/op.js'
import { followRowPlaces } from './trace/row-places.js'
import { fixedAxis, known, named, one, rowCount } from './trace/size.js'
import {
  countsRows,
  isDependent,
  isRefused,
  isSequence,
  isTensor,
  placed,
  type RefusedTrace,
  shared,
  type TensorTrace,
  type Trace,
  unranked,
} from './trace/trace.js'
import { typeOf } from './trace/type-of.js'

/** Maximum number of nodes that are followed; each call of a function and each trip of a loop counts. */
const MAX_NODES = 200_000
/** Maximum number of branches with outputs of different ranks in a graph that is followed. */
const MAX_FORKS = 6

/** The names that a graph can read, its own and those around it, and the versions of its operators. */
class Scope {
  readonly #traces = new Map<string, Trace | undefined>()

  readonly opsets: Opsets
  /** Attributes of the call of a function. */
  readonly attributes: GraphAttributes | undefined
  readonly outer: Scope | undefined

  constructor(opsets: Opsets, attributes?: GraphAttributes, outer?: Scope) {
    this.opsets = opsets
    this.attributes = attributes
    this.outer = outer
  }

  /** `trace` is undefined for an input that a function's call leaves out. */
  set(name: string, trace: Trace | undefined): void {
    if (name !== '') this.#traces.set(name, trace)
  }

  has(name: string): boolean {
    return this.#traces.has(name) || (this.outer?.has(name) ?? false)
  }

  get(name: string): Trace | undefined {
    return this.#traces.has(name) ? this.#traces.get(name) : this.outer?.get(name)
  }
}

/** Follows the rows of a batch through a graph. */
export class Interpreter {
  readonly #graph: OnnxGraph
  readonly #batchAxes: ReadonlyMap<string, number>
  readonly #calls: GraphFunction[] = []
  #nodes = 0
  /** Number of loop bodies around the node that is followed. */
  #loops = 0
  /** The way taken at each fork. */
  #ways: boolean[] = []
  #forks = 0

  constructor(graph: OnnxGraph, batchAxes: ReadonlyMap<string, number>) {
    this.#graph = graph
    this.#batchAxes = batchAxes
  }

  /** Yields the traces of the graph's outputs, for each of the ways that a run may take. */
  *run(): Generator<readonly Trace[]> {
    for (let ways: boolean[] | undefined = []; ways !== undefined; ways = nextWays(this.#ways)) {
      this.#ways = ways
      this.#forks = 0
      const inputs = this.#graph.inputs.map((input) => this.#input(input))
      yield this.#runGraph(this.#graph, inputs, new Scope(this.#graph.opsets))
    }
  }

  #fork(): boolean | undefined {
    if (this.#loops > 0 || this.#forks === MAX_FORKS) return undefined
    this.#forks += 1
    if (this.#ways.length < this.#forks) this.#ways.push(true)
    return this.#ways[this.#forks - 1]
  }

  #input({ name, dims, type }: GraphValue): Trace {
    const axis = this.#batchAxes.get(name)
    const byDefault = this.#graph.initializers.get(name)
    if (axis === undefined && byDefault !== undefined) return constant(byDefault)
    if (dims === undefined) {
      return axis === undefined ? unranked : { refused: `input "${name}" does not declare its axes` }
    }
    const sizes = dims.map((size, at) => {
      if (at === axis) return rowCount
      if (typeof size === 'number') return known(size)
      return axis === undefined ? fixedAxis(name, at) : named(`${name}.${at}`)
    })
    const trace = placed(sizes, axis === undefined ? undefined : { axis, before: one })
    return withNames(type === undefined ? trace : { ...trace, type })
  }

  #runGraph(graph: Graph, inputs: readonly (Trace | undefined)[], scope: Scope): readonly Trace[] {
    for (const [name, tensor] of graph.initializers) scope.set(name, constant(tensor))
    for (const [at, { name, dims }] of graph.inputs.entries()) {
      const trace = inputs[at]
      scope.set(name, trace && ranked(trace, dims?.length))
    }
    for (const node of graph.nodes) {
      const outcome = this.#runNode(withAttributes(node, scope.attributes), scope)
      for (const [at, name] of node.outputs.entries()) {
        const trace = isList(outcome) ? (outcome[at] ?? unexpected(node)) : outcome
        scope.set(name, ranked(trace, graph.ranks.get(name)))
      }
    }
    return graph.outputs.map(
      ({ name }) => scope.get(name) ?? { refused: `no node gives the output "${name}"` },
    )
  }

  #runNode(node: GraphNode, scope: Scope): Outcome {
    this.#nodes += 1
    if (this.#nodes > MAX_NODES) return { refused: `more than ${MAX_NODES} nodes would have to be followed` }
    if (node.op === 'Constant' && node.domain === '') return constantNode(node)
    const inputs = node.inputs.map((name): Trace | undefined =>
      name === '' || scope.has(name)
        ? scope.get(name)
        : { refused: `${nameOf(node)} reads "${name}", which no node gives` },
    )
    const called = this.#graph.functions.get(functionKey(node.domain, node.op, node.overload))
    // If a function has the name of a known operator, it is not known which of the two onnxruntime takes.
    const isOwn = called === undefined
    const rule = ruleOf(node.domain, node.op)
    const flowRule = flowRuleOf(node.domain, node.op)
    if (called !== undefined && rule === undefined && flowRule === undefined)
      return this.#call(node, called, inputs)
    const opset = scope.opsets.get(node.domain) ?? 1
    if (flowRule !== undefined && isOwn) {
      return flowRule(new Flow(node, inputs, opset, this.#bodies(scope)))
    }
    return rule !== undefined && isOwn ? ofTensors(node, inputs, opset, rule) : ofUnknown(node, inputs, scope)
  }

  #bodies(outer: Scope): Bodies {
    const run: Bodies['run'] = (graph, inputs) =>
      this.#runGraph(graph, inputs, new Scope(outer.opsets, outer.attributes, outer))
    const repeat: Bodies['repeat'] = (graph, inputs) => {
      this.#loops += 1
      const outputs = run(graph, inputs)
      this.#loops -= 1
      return outputs
    }
    return { run, repeat, fork: () => this.#fork() }
  }

  /** Runs a function's body in place of the node that calls it. */
  #call(node: GraphNode, called: GraphFunction, inputs: readonly (Trace | undefined)[]): Outcome {
    if (this.#calls.includes(called)) return { refused: `${nameOf(node)} is a function that calls itself` }
    this.#calls.push(called)
    const attributes = new Map([...called.defaults, ...node.attributes])
    const outputs = this.#runGraph(called.body, inputs, new Scope(called.opsets, attributes))
    this.#calls.pop()
    return outputs
  }
}

/** Returns the next combination of ways: the last fork with an untaken way takes it; undefined if none is left. */
function nextWays(ways: readonly boolean[]): boolean[] | undefined {
  const last = ways.lastIndexOf(true)
  return last === -1 ? undefined : [...ways.slice(0, last), false]
}

/** Returns a node of a function, with the attributes that it takes from the function's call. */
function withAttributes(node: GraphNode, called: GraphAttributes | undefined): GraphNode {
  if (![...node.attributes.values()].some(({ ref }) => ref !== undefined)) return node
  const attributes = [...node.attributes].flatMap(([name, attribute]) => {
    const value = attribute.ref === undefined ? attribute : called?.get(attribute.ref)
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...node, attributes: new Map(attributes) }
}

function ofTensors(
  node: GraphNode,
  inputs: readonly (Trace | undefined)[],
  opset: number,
  rule: Rule,
): Outcome {
  const refused = firstRefused(inputs)
  if (refused?.places !== undefined || node.op === 'Range') {
    const followed = followRowPlaces(node, inputs, (resolved) => ofTensors(node, resolved, opset, rule))
    if (followed !== undefined) return followed
  }
  if (refused !== undefined) return refused
  const tensors = inputs.filter((trace) => trace === undefined || isTensor(trace))
  if (tensors.length < inputs.length) {
    const isFree = !inputs.some(isInvolved)
    return isFree
      ? unranked
      : { refused: `${nameOf(node)} reads a tensor beside the batch whose axes are not known` }
  }
  const op = new Op(node, tensors, opset)
  const values = foldOf(op)
  const allowed = shapeInputs.get(node.op) ?? []
  const isCounting = inputs.some((trace, place) => countsRows(trace) && !allowed.includes(place))
  if (values === undefined && isCounting) return op.refuse('calculates with the number of rows in the batch')
  const outcome = rule(op)
  const type = typeOf(op)
  const finished = (trace: Trace, at: number): Trace => {
    if (!isTensor(trace)) return trace
    const typed = type === undefined || at > 0 ? trace : { ...trace, type }
    return withNames(at > 0 || values === undefined || isDependent(trace) ? typed : { ...typed, values })
  }
  return isList(outcome) ? outcome.map(finished) : finished(outcome, 0)
}

/** Returns the outcome of an unknown operator, which is harmless if nothing of the batch goes into it. */
function ofUnknown(node: GraphNode, inputs: readonly (Trace | undefined)[], scope: Scope): Outcome {
  const refused = firstRefused(inputs)
  if (refused !== undefined) return refused
  const bodies = [...node.attributes.values()].flatMap(({ graphs = [] }) => graphs)
  const read = bodies.flatMap(readNames).map((name) => scope.get(name))
  const isFree = ![...inputs, ...read].some((trace) => isRefused(trace) || isInvolved(trace))
  const domain = node.domain === '' ? '' : ` of ${node.domain}`
  return isFree
    ? unranked
    : { refused: `${nameOf(node)}${domain} is not known to leave the rows of a batch apart` }
}

function firstRefused(inputs: readonly (Trace | undefined)[]): RefusedTrace | undefined {
  const refused = inputs.filter(isRefused)
  return refused.find((trace) => trace.isFailure) ?? refused[0]
}

function isInvolved(trace: Trace | undefined): boolean {
  return isSequence(trace) || isDependent(trace) || countsRows(trace)
}

function readNames(graph: Graph): string[] {
  const inner = graph.nodes.flatMap((node) => [
    ...node.inputs,
    ...[...node.attributes.values()].flatMap(({ graphs = [] }) => graphs.flatMap(readNames)),
  ])
  return [...inner, ...graph.outputs.map(({ name }) => name)]
}

function isList(outcome: Outcome): outcome is readonly Trace[] {
  return Array.isArray(outcome)
}

function unexpected(node: GraphNode): RefusedTrace {
  return { refused: `${nameOf(node)} has more outputs than are known` }
}

/** Returns a trace in which a shared tensor of unknown rank has the declared one. */
function ranked(trace: Trace, rank: number | undefined): Trace {
  const isOpen = 'dims' in trace && trace.dims === undefined
  return isOpen && rank !== undefined ? shared(Array.from({ length: rank }, freshSize)) : trace
}

function constant(tensor: GraphTensor): TensorTrace {
  const { dims, type, values } = tensor
  return { ...shared(dims.map(known), values?.map(known)), type }
}

function constantNode(node: GraphNode): Trace {
  const { attributes } = node
  const tensor = attributes.get('value')?.tensor
  if (tensor !== undefined) return constant(tensor)
  const { int } = attributes.get('value_int') ?? {}
  if (int !== undefined) return { ...shared([], [known(int)]), type: 7 }
  const { ints } = attributes.get('value_ints') ?? {}
  if (ints !== undefined) return { ...shared([known(ints.length)], ints.map(known)), type: 7 }
  if (attributes.has('value_float')) return { ...shared([]), type: 1 }
  if (attributes.has('value_string')) return shared([])
  return attributes.has('value_floats') || attributes.has('value_strings') ? shared([freshSize()]) : unranked
}
