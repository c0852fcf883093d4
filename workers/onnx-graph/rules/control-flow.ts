import type { Graph } from '../file/graph.js'
import type { Flow, FlowRule } from '../trace/flow.js'
import { freshSize } from '../trace/op.js'
import { known, numberOf, type Size } from '../trace/size.js'
import {
  countsRows,
  isDependent,
  isRefused,
  isSameTrace,
  join,
  placed,
  shared,
  type Trace,
  unranked,
} from '../trace/trace.js'
import { added } from './shape.js'

export const controlFlowRules: ReadonlyMap<string, FlowRule> = new Map([
  ['If', branch],
  ['Loop', loop],
  ['Scan', scan],
])

/** Maximum number of trips to follow; the traces of carried values stop changing long before. */
const MAX_ROUNDS = 8
const NOT_FOLLOWED = 'carries the batch from trip to trip in a way that is not followed'

/** Returns the refusal of a tensor that must not decide about control flow; undefined if it may. */
function refusalToDecide(flow: Flow, trace: Trace | undefined, does: string): Trace | undefined {
  if (isRefused(trace)) return trace
  if (isDependent(trace)) return flow.refuse(does)
  return countsRows(trace) ? flow.refuse('is decided by the number of rows in the batch') : undefined
}

/** Returns the number that a tensor holds; undefined if it is not known. */
function decided(trace: Trace | undefined): number | undefined {
  return trace !== undefined && 'dims' in trace && trace.dims !== undefined
    ? numberOf(trace.values?.[0])
    : undefined
}

/** Rule for If: the outcome of one branch if shapes alone decide, or of both joined. */
function branch(flow: Flow): readonly Trace[] | Trace {
  const [condition] = flow.inputs
  const refused = refusalToDecide(flow, condition, 'decides once for the whole batch')
  if (refused !== undefined) return refused
  const [yes, no] = [flow.graph('then_branch'), flow.graph('else_branch')]
  if (yes === undefined || no === undefined) return flow.refuse('lacks a branch')
  const known = decided(condition)
  if (known !== undefined) return flow.bodies.run(known !== 0 ? yes : no, [])
  const [thenTraces, elseTraces] = [flow.bodies.run(yes, []), flow.bodies.run(no, [])]
  let isOpen = false
  const joined = thenTraces.map((trace, at) =>
    join(trace, elseTraces[at] ?? unranked, `${flow.slot}.${at}`, (does) => {
      isOpen = true
      return flow.refuse(does)
    }),
  )
  const isThen = isOpen ? flow.bodies.fork() : undefined
  return isThen === undefined ? joined : isThen ? thenTraces : elseTraces
}

/**
 * Rule for Loop. Its inputs are trips, condition, carried values; those of the body trip, condition, carried
 * values.
 */
function loop(flow: Flow): readonly Trace[] | Trace {
  const body = flow.graph('body')
  if (body === undefined) return flow.refuse('lacks a body')
  const decides = 'repeats as often as the whole batch decides'
  const [trips, condition, ...carried] = flow.inputs
  const refused = refusalToDecide(flow, trips, decides) ?? refusalToDecide(flow, condition, decides)
  if (refused !== undefined) return refused
  const initial = carried.map((trace) => trace ?? unranked)
  const unrolled = unroll(flow, body, decided(trips), condition, initial)
  if (unrolled !== undefined) return unrolled
  const settled = settle(flow, body, [shared([]), shared([])], initial, [])
  const [goesOn, ...outputs] = settled.outputs
  const open = refusalToDecide(flow, goesOn, decides)
  if (open !== undefined) return open
  return [
    ...settled.carried,
    ...outputs.slice(initial.length).map((trace) => stacked(flow, trace, 0, freshSize())),
  ]
}

/** Returns the outputs of a loop with a known, small number of trips by following each; undefined for other loops. */
function unroll(
  flow: Flow,
  body: Graph,
  trips: number | undefined,
  condition: Trace | undefined,
  initial: readonly Trace[],
): readonly Trace[] | undefined {
  const isFew = trips !== undefined && trips >= 1 && trips <= MAX_ROUNDS
  if (!isFew || (condition !== undefined && decided(condition) !== 1)) return undefined
  const yes = shared([], [known(1)])
  let carried = initial
  let scanned: readonly Trace[] | undefined
  for (let trip = 0; trip < trips; trip += 1) {
    const [goesOn, ...outputs] = flow.bodies.run(body, [shared([], [known(trip)]), yes, ...carried])
    if (decided(goesOn) !== 1) return undefined
    carried = outputs.slice(0, initial.length)
    const tripOutputs = outputs.slice(initial.length)
    scanned =
      scanned?.map((trace, at) =>
        join(trace, tripOutputs[at] ?? unranked, `${flow.slot}.s${at}`, flow.refuse),
      ) ?? tripOutputs
  }
  return [...carried, ...(scanned ?? []).map((trace) => stacked(flow, trace, 0, known(trips)))]
}

/** Rule for Scan. Its inputs are carried values, then tensors of which each trip takes a part along an axis. */
function scan(flow: Flow): readonly Trace[] | Trace {
  const body = flow.graph('body')
  const count = flow.int('num_scan_inputs') ?? 0
  const inputs = flow.inputs.map((trace) => trace ?? unranked)
  if (body === undefined || flow.opset < 9) return flow.refuse('is of a kind that is not followed')
  const initial = inputs.slice(0, inputs.length - count)
  const elements: Trace[] = []
  let length: Size = freshSize()
  for (const [at, trace] of inputs.slice(inputs.length - count).entries()) {
    const axis = flow.ints('scan_input_axes')?.[at] ?? 0
    if (isRefused(trace)) return trace
    if (!('dims' in trace) || trace.dims === undefined) {
      elements.push(unranked)
      continue
    }
    const along = axis < 0 ? axis + trace.dims.length : axis
    if (trace.rows?.axis === along) return flow.refuse('goes along the batch axis')
    length = trace.dims[along] ?? length
    const dims = trace.dims.filter((_, axis) => axis !== along)
    const { rows } = trace
    elements.push(placed(dims, rows && { ...rows, axis: rows.axis > along ? rows.axis - 1 : rows.axis }))
  }
  const settled = settle(flow, body, [], initial, elements)
  const axes = flow.ints('scan_output_axes')
  const outputs = settled.outputs.slice(initial.length)
  return [...settled.carried, ...outputs.map((trace, at) => stacked(flow, trace, axes?.[at] ?? 0, length))]
}

/** Returns the tensors of all trips, joined along a new axis. */
function stacked(flow: Flow, trace: Trace, axis: number, length: Size): Trace {
  if (isRefused(trace)) return trace
  if (!('dims' in trace)) return flow.refuse('collects sequences')
  if (trace.dims === undefined) return unranked
  return placed(...added(trace, [axis < 0 ? axis + trace.dims.length + 1 : axis], length))
}

interface Settled {
  readonly carried: readonly Trace[]
  readonly outputs: readonly Trace[]
}

/** Runs a body until what it carries from trip to trip no longer changes. */
function settle(
  flow: Flow,
  body: Graph,
  leading: readonly Trace[],
  initial: readonly Trace[],
  elements: readonly Trace[],
): Settled {
  const first = leading.length === 0 ? 0 : 1
  let carried = initial
  for (let round = 0; ; round += 1) {
    const outputs = flow.bodies.repeat(body, [...leading, ...carried, ...elements])
    const next = carried.map((trace, at) =>
      join(trace, outputs[at + first] ?? unranked, `${flow.slot}.${at}`, flow.refuse),
    )
    if (next.every((trace, at) => isSameTrace(trace, carried[at] ?? trace))) return { carried, outputs }
    if (round > MAX_ROUNDS + 1)
      return {
        carried: next.map(() => flow.refuse(NOT_FOLLOWED)),
        outputs: outputs.map(() => flow.refuse(NOT_FOLLOWED)),
      }
    carried = next
  }
}
