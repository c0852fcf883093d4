import type { GraphNode } from '../file/graph.js'
import { named, numberOf, product, type Size } from './size.js'
import {
  countsRows,
  isDependent,
  type Place,
  placed,
  type RefusedTrace,
  shared,
  type TensorTrace,
  type Trace,
} from './trace.js'

/** The outcome of a node: one trace for all its outputs, or one for each. */
export type Outcome = Trace | readonly Trace[]

/** The effect of an operator on tensors of known rank. */
export type Rule = (op: Op) => Outcome

/** Number of elements above which the elements of a tensor are not followed. */
export const MAX_VALUES = 64

let fresh = 0

/** Returns a size of which only one fact is known: it does not depend on the batch. */
export function freshSize(): Size {
  fresh += 1
  return named(`#${fresh}`)
}

/** A node with the traces of its inputs. */
export class Op {
  readonly type: string

  readonly node: GraphNode
  /** Undefined for an input that is left out. */
  readonly inputs: readonly (TensorTrace | undefined)[]
  /** Version of the node's domain. */
  readonly opset: number

  constructor(node: GraphNode, inputs: readonly (TensorTrace | undefined)[], opset: number) {
    this.node = node
    this.inputs = inputs
    this.opset = opset
    this.type = node.op
  }

  /** The first input; one that is left out counts as a constant. */
  get first(): TensorTrace {
    return this.inputs[0] ?? shared([])
  }

  get dims(): readonly Size[] {
    return this.first.dims
  }

  get rank(): number {
    return this.first.dims.length
  }

  get rows(): Place | undefined {
    return this.first.rows
  }

  get present(): readonly TensorTrace[] {
    return this.inputs.filter((trace) => trace !== undefined)
  }

  /** True if an input depends on the rows. */
  get isDependent(): boolean {
    return this.inputs.some(isDependent)
  }

  /** Returns true if an input other than these depends on the rows. */
  isDependentBeside(...places: readonly number[]): boolean {
    return this.inputs.some((trace, place) => !places.includes(place) && isDependent(trace))
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

  flag(name: string, fallback = false): boolean {
    return (this.int(name) ?? Number(fallback)) !== 0
  }

  /** Returns an axis counted from the front; `rank` defaults to that of the first input. */
  axis(axis: number, rank = this.rank): number {
    return axis < 0 ? axis + rank : axis
  }

  /** Returns numbers that older versions of an operator take from an attribute and newer ones from an input. */
  numbers(name: string, place: number): readonly Size[] | 'absent' | 'unknown' {
    const attribute = this.node.attributes.get(name)
    const list =
      attribute?.ints ?? attribute?.floats ?? (attribute?.int === undefined ? undefined : [attribute.int])
    if (list !== undefined) return list.map((times) => ({ times, rows: false, names: [] }))
    const input = this.inputs[place]
    return input === undefined ? 'absent' : (valuesOf(input) ?? 'unknown')
  }

  /** Returns `numbers` as axes of the first input, counted from the front; 'unknown' unless all of them are known. */
  axes(name: string, place: number, rank = this.rank): readonly number[] | 'absent' | 'unknown' {
    const numbers = this.numbers(name, place)
    if (typeof numbers === 'string') return numbers
    const axes = numbers.map(numberOf)
    return axes.every((axis) => axis !== undefined) ? axes.map((axis) => this.axis(axis, rank)) : 'unknown'
  }

  /** Returns the first input's rows in another shape, or a refusal if another input depends on the rows too. */
  like(dims: readonly Size[] = this.dims, rows: Place | undefined = this.rows): TensorTrace | RefusedTrace {
    return this.isDependentBeside(0) ? this.mixed() : placed(dims, rows)
  }

  /** Returns the outcome of an operator that works along these axes of the first input. */
  along(
    axes: readonly number[],
    does: string,
    dims: readonly Size[] = this.dims,
  ): TensorTrace | RefusedTrace {
    return this.isBatch(...axes) ? this.refuse(`${does} the batch axis`) : this.like(dims)
  }

  /** Returns true if one of these axes of the first input holds the rows. */
  isBatch(...axes: readonly number[]): boolean {
    return this.rows !== undefined && axes.includes(this.rows.axis)
  }

  /** Refuses settings of an operator that come from the rows. */
  mixed(): RefusedTrace {
    return this.refuse('is set by what is in the rows of the batch')
  }

  /** Returns a refusal; `does` completes the sentence that the operator and the node's name begin. */
  refuse(does: string): RefusedTrace {
    return { refused: `${nameOf(this.node)} ${does}` }
  }

  /** Returns a refusal for a node with which every run fails. */
  fail(does: string): RefusedTrace {
    return { ...this.refuse(does), isFailure: true }
  }
}

export function nameOf({ op, name, outputs }: GraphNode): string {
  return `${op} "${name || (outputs.find((output) => output !== '') ?? '')}"`
}

/** Returns the number of elements; undefined if it is not known, or large. */
export function countOf({ dims }: TensorTrace): number | undefined {
  const count = numberOf(product(dims))
  return count !== undefined && count <= MAX_VALUES ? count : undefined
}

/** Returns the elements of a small tensor that is the same in every batch; unknown elements get new names. */
export function valuesOf(trace: TensorTrace): readonly Size[] | undefined {
  if (trace.values !== undefined) return trace.values
  const count = isDependent(trace) ? undefined : countOf(trace)
  return count === undefined ? undefined : Array.from({ length: count }, freshSize)
}

/**
 * Returns a trace in which the elements of a small tensor have names, so that a repeated use of them is
 * recognised.
 */
export function withNames(trace: Trace): Trace {
  if (!('dims' in trace) || trace.dims === undefined || isDependent(trace) || countsRows(trace)) return trace
  const values = trace.dims.length <= 1 ? valuesOf(trace) : trace.values
  return values === undefined ? trace : { ...trace, values }
}
