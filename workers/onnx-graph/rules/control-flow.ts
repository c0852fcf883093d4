import type { Graph } from '../graph.js'
import { type Op, type Outcome, Refusal, type Rule } from '../op.js'
import {
  batched,
  fromFront,
  isDependent,
  isSame,
  join,
  shared,
  type Trace,
  unclear,
  withAxes,
} from '../trace.js'
import { rulesOf } from './rules-of.js'

export const controlFlowRules: ReadonlyMap<string, Rule> = rulesOf(
  ['If', branch],
  ['Loop', loop],
  ['Scan', scan],
)

/** What is carried from trip to trip is settled long before, or taken to be unclear. */
const maxRounds = 8

/** Both branches, which different requests may take; one, where ranks alone decide. */
function branch(op: Op): Outcome {
  if (isDependent(op.first)) return op.refuse('decides once for the whole batch')
  const [thenGraph, elseGraph] = [op.graph('then_branch'), op.graph('else_branch')]
  if (thenGraph === undefined || elseGraph === undefined) return unclear()
  const decided = op.first.sizes?.[0]
  if (typeof decided === 'number') return op.run(decided !== 0 ? thenGraph : elseGraph, [])
  const thenTraces = op.run(thenGraph, [])
  if (thenTraces instanceof Refusal) return thenTraces
  const elseTraces = op.run(elseGraph, [])
  if (elseTraces instanceof Refusal) return elseTraces
  return thenTraces.map((trace, at) => join(trace, elseTraces[at] ?? unclear()))
}

/** Inputs: trips, condition, carried values. The body's: trip, condition, carried values. */
function loop(op: Op): Outcome {
  const body = op.graph('body')
  if (body === undefined) return unclear()
  const decides = 'repeats as often as the whole batch asks for'
  if (isDependent(op.inputs[0]) || isDependent(op.inputs[1])) return op.refuse(decides)
  const initial = op.inputs.slice(2).map((trace) => trace ?? shared(undefined))
  const settled = settle(op, body, [shared(0), shared(0)], initial, [])
  if (settled instanceof Refusal) return settled
  const [condition, ...outputs] = settled.outputs
  if (isDependent(condition)) return op.refuse(decides)
  const stacked = outputs.slice(initial.length).map((trace) => withAxes(trace, [0]))
  return [...settled.carried, ...stacked]
}

/** Inputs: carried values, then tensors that are gone through along an axis. */
function scan(op: Op): Outcome {
  const body = op.graph('body')
  const count = op.int('num_scan_inputs') ?? 0
  if (body === undefined || op.opset < 9) return unclear()
  const inputs = op.inputs.map((trace) => trace ?? shared(undefined))
  const initial = inputs.slice(0, inputs.length - count)
  const elements: Trace[] = []
  for (const [at, trace] of inputs.slice(inputs.length - count).entries()) {
    const along = fromFront(op.ints('scan_input_axes')?.[at] ?? 0, trace.rank)
    if (along !== undefined && trace.axis === along) return op.refuseAxis('goes along', trace)
    elements.push(elementOf(trace, along))
  }
  const settled = settle(op, body, [], initial, elements)
  if (settled instanceof Refusal) return settled
  const axes = op.ints('scan_output_axes')
  const stacked = settled.outputs.slice(initial.length).map((trace, at) => withAxes(trace, [axes?.[at] ?? 0]))
  return [...settled.carried, ...stacked]
}

function elementOf({ axis, rank }: Trace, along: number | undefined): Trace {
  const elementRank = rank === undefined ? undefined : rank - 1
  if (typeof axis !== 'number') return { axis, rank: elementRank }
  if (along === undefined) return unclear(elementRank)
  return batched(axis > along ? axis - 1 : axis, elementRank)
}

interface Settled {
  readonly carried: readonly Trace[]
  readonly outputs: readonly Trace[]
}

/** Runs a body until what it carries from trip to trip no longer changes. */
function settle(
  op: Op,
  body: Graph,
  leading: readonly Trace[],
  initial: readonly Trace[],
  elements: readonly Trace[],
): Settled | Refusal {
  const first = leading.length === 0 ? 0 : 1
  let carried = initial
  for (let round = 0; ; round++) {
    const outputs = op.run(body, [...leading, ...carried, ...elements])
    if (outputs instanceof Refusal) return outputs
    const next = carried.map((trace, at) => join(trace, outputs[at + first] ?? unclear()))
    if (next.every((trace, at) => isSame(trace, carried[at] ?? trace))) return { carried, outputs }
    carried = round < maxRounds ? next : next.map(() => unclear())
  }
}
