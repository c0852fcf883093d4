import { isOneOrFixed, isSameSize, named, type Size } from './size.js'

/** The place of the rows of the batch in a tensor. */
export interface Place {
  readonly axis: number
  /** Number of blocks of that axis, each of which holds every row; 1 unless a reshape has merged axes. */
  readonly before: Size
}

/** A tensor whose rank is known. */
export interface TensorTrace {
  /** The dims in a run of a whole batch. Only the axis of the rows holds their number. */
  readonly dims: readonly Size[]
  /**
   * The axis along which the tensor joins the tensors that each row has alone. Absent if the tensor is the
   * same in every batch, for any content and number of rows.
   */
  readonly rows?: Place
  /** The elements of a small tensor, mostly of one that describes shapes. They may hold the number of rows. */
  readonly values?: readonly Size[]
  /** ONNX's number of the element type, if it is known. */
  readonly type?: number
  /** True if all elements are equal in every batch. */
  readonly isUniform?: boolean
}

/** A tensor of unknown rank which is the same in every batch. */
export interface UnrankedTrace {
  readonly dims: undefined
}

/** A sequence of tensors, with one trace for all of them; undefined if it has none. */
export interface SequenceTrace {
  readonly element: Trace | undefined
}

/** A tensor that may depend on other rows, or in a way that the rules do not know; it matters only if it is used. */
export interface RefusedTrace {
  /** The reason, as a whole sentence. */
  readonly refused: string
  /** True if the run fails here with one row too. */
  readonly isFailure?: boolean
  /** Set if the elements are made of the places of the rows in the batch, which some operators can use. */
  readonly places?: RowPlaces
}

/** A tensor made of each row's place in the batch, which is another one when the row is alone. */
export interface RowPlaces {
  readonly tensor: TensorTrace
  /** The places themselves, indices that begin with the place, or something of which only the shape is known. */
  readonly kind: 'place' | 'index' | 'shape'
}

/** The facts about a tensor that are known without running the graph. */
export type Trace = TensorTrace | UnrankedTrace | SequenceTrace | RefusedTrace

export const unranked: UnrankedTrace = { dims: undefined }

export function isRefused(trace: Trace | undefined): trace is RefusedTrace {
  return trace !== undefined && 'refused' in trace
}

export function isSequence(trace: Trace | undefined): trace is SequenceTrace {
  return trace !== undefined && 'element' in trace
}

export function sequenceOf(element: Trace | undefined): Trace {
  return isRefused(element) ? element : { element }
}

export function isTensor(trace: Trace | undefined): trace is TensorTrace {
  return trace !== undefined && 'dims' in trace && trace.dims !== undefined
}

/** Returns true if a tensor depends on the content of the rows, or on their number. */
export function isDependent(trace: Trace | undefined): trace is TensorTrace & { readonly rows: Place } {
  return isTensor(trace) && trace.rows !== undefined
}

/** Returns true if elements of a tensor are calculated from the number of rows. */
export function countsRows(trace: Trace | undefined): boolean {
  return isTensor(trace) && (trace.values?.some((value) => value.rows) ?? false)
}

/** Returns the trace of a tensor that is the same for all rows. */
export function shared(dims: readonly Size[], values?: readonly Size[]): TensorTrace {
  return values === undefined ? { dims } : { dims, values }
}

/** Returns the trace of a tensor with the rows at one of `dims`, or at none. */
export function placed(dims: readonly Size[], rows: Place | undefined): TensorTrace {
  return rows === undefined ? { dims } : { dims, rows }
}

/**
 * Returns the trace of a tensor that is either `a` or `b`, where the choice does not depend on the rows.
 *
 * @param slot - Prefix of the names of sizes that differ.
 * @param refuse - Makes the refusal if one trace cannot describe both.
 */
export function join(a: Trace, b: Trace, slot: string, refuse: (does: string) => RefusedTrace): Trace {
  if (isRefused(a)) return a.isFailure === true ? b : a
  if (isRefused(b)) return b.isFailure === true ? a : b
  if (isSequence(a) || isSequence(b)) {
    if (!isSequence(a) || !isSequence(b)) return refuse('returns a sequence or a tensor')
    if (a.element === undefined || b.element === undefined) return a.element === undefined ? b : a
    return sequenceOf(join(a.element, b.element, slot, refuse))
  }
  const isShared = !isDependent(a) && !isDependent(b)
  if (a.dims === undefined || b.dims === undefined || a.dims.length !== b.dims.length) {
    return isShared ? unranked : refuse('returns the batch at an axis that is not known')
  }
  const rows = joinedRows(a, b)
  if (rows === 'unlike') return refuse('returns the batch at one of several places')
  const other = b.dims
  const dims = a.dims.map((size, axis) => {
    const like = other[axis] ?? size
    if (isSameSize(size, like)) return size
    return size.rows && like.rows
      ? named(`${slot}.${axis}`, true)
      : axis === rows?.axis
        ? size.rows
          ? size
          : like
        : named(`${slot}.${axis}`)
  })
  const isSame =
    a.values?.length === b.values?.length &&
    a.values?.every((value, at) => isSameSize(value, b.values?.[at] ?? value))
  if (!isSame && (countsRows(a) || countsRows(b)))
    return refuse('returns the number of rows or another value')
  return {
    ...placed(dims, rows),
    ...(isSame === true && a.values !== undefined ? { values: a.values } : {}),
    ...(a.type === b.type && a.type !== undefined ? { type: a.type } : {}),
    ...(a.isUniform === true && b.isUniform === true ? { isUniform: true } : {}),
  }
}

/**
 * Returns the place of the rows of both; a shared tensor whose axis has size 1 stands for rows that are all
 * alike.
 */
function joinedRows(a: TensorTrace, b: TensorTrace): Place | undefined | 'unlike' {
  if (a.rows === undefined && b.rows === undefined) return undefined
  if (a.rows !== undefined && b.rows !== undefined) {
    return a.rows.axis === b.rows.axis && isSameSize(a.rows.before, b.rows.before) ? a.rows : 'unlike'
  }
  const rows = (a.rows ?? b.rows) as Place
  const other = a.rows === undefined ? a : b
  return isOneOrFixed(other.dims[rows.axis] as Size) ? rows : 'unlike'
}

export function isSameTrace(a: Trace, b: Trace): boolean {
  if (isRefused(a) || isRefused(b)) return isRefused(a) && isRefused(b)
  if (isSequence(a) || isSequence(b)) {
    if (!isSequence(a) || !isSequence(b)) return false
    return a.element === undefined || b.element === undefined
      ? a.element === b.element
      : isSameTrace(a.element, b.element)
  }
  if (a.dims === undefined || b.dims === undefined) return a.dims === b.dims
  const isLike = (one: readonly Size[] | undefined, other: readonly Size[] | undefined): boolean =>
    one?.length === other?.length && (one ?? []).every((size, at) => isSameSize(size, other?.[at] ?? size))
  return (
    isLike(a.dims, b.dims) &&
    isLike(a.values, b.values) &&
    a.rows?.axis === b.rows?.axis &&
    a.isUniform === b.isUniform &&
    a.type === b.type
  )
}
