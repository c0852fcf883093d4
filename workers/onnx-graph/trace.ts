/** A number in a shape: known, the number of rows (or a multiple of it), or unknown. */
export type Size = number | 'batch' | undefined

/** What is known of a tensor without running the graph. */
export interface Trace {
  /**
   * The axis, counted from the front, along which the rows of the batch lie (perhaps merged with
   * other axes); 'unknown' if it depends on the rows in some other way; 'none' if it does not
   * depend on what is in them.
   */
  readonly axis: number | 'none' | 'unknown'
  readonly rank: number | undefined
  /** The elements of a small tensor of integers that describes shapes. */
  readonly sizes?: readonly Size[]
}

type DependentTrace = Trace & { readonly axis: number | 'unknown' }

/** The same for all rows. */
export function shared(rank: number | undefined, sizes?: readonly Size[]): Trace {
  return sizes === undefined ? { axis: 'none', rank } : { axis: 'none', rank, sizes }
}

export function batched(axis: number, rank: number | undefined): Trace {
  return { axis, rank }
}

/** Depends on the rows; nobody knows how. */
export function unclear(rank?: number): Trace {
  return { axis: 'unknown', rank }
}

export function isDependent(trace: Trace | undefined): trace is DependentTrace {
  return trace !== undefined && trace.axis !== 'none'
}

/** `axis` counted from the front; undefined for a negative one of a tensor of unknown rank. */
export function fromFront(axis: number, rank: number | undefined): number | undefined {
  if (axis >= 0) return axis
  return rank === undefined ? undefined : axis + rank
}

/** Whether one of `axes` holds the batch. Of an unclear tensor, axis 0 is taken to be the batch. */
export function isAlongBatch(trace: Trace, axes: readonly number[]): boolean {
  const batch = trace.axis === 'unknown' ? 0 : trace.axis
  return axes.some((axis) => fromFront(axis, trace.rank) === batch)
}

/** Whether the batch lies at `axis` or behind it. Of an unclear tensor, axis 0 is taken to be the batch. */
export function isFromAxisOn(trace: Trace, axis: number): boolean {
  const batch = trace.axis === 'unknown' ? 0 : trace.axis
  const first = fromFront(axis, trace.rank)
  return batch !== 'none' && first !== undefined && batch >= first
}

/** The tensor with some of its axes gone, the batch axis not being one of them. */
export function withoutAxes(trace: Trace, axes: readonly number[]): Trace {
  const rank = trace.rank === undefined ? undefined : trace.rank - axes.length
  if (typeof trace.axis !== 'number') return { axis: trace.axis, rank }
  let axis = trace.axis
  for (const each of axes) {
    const gone = fromFront(each, trace.rank)
    if (gone === trace.axis) return unclear(rank)
    // From the back, and the rank unknown: in front of the first axis there is nothing.
    if (gone === undefined && trace.axis > 0) return unclear(rank)
    if (gone !== undefined && gone < trace.axis) axis--
  }
  return batched(axis, rank)
}

/** The tensor with new axes at these places of the result. */
export function withAxes(trace: Trace, axes: readonly number[]): Trace {
  const rank = trace.rank === undefined ? undefined : trace.rank + axes.length
  if (typeof trace.axis !== 'number') return { axis: trace.axis, rank }
  // A last axis is behind the batch, whatever the rank.
  const places = axes.map((axis) => (axis === -1 ? Number.POSITIVE_INFINITY : fromFront(axis, rank)))
  if (places.includes(undefined)) return unclear(rank)
  let axis = trace.axis
  for (const place of places.map(Number).sort((a, b) => a - b)) if (place <= axis) axis++
  return batched(axis, rank)
}

/** The result of an operator that broadcasts; 'crossed' if it pairs each row with every other. */
export function broadcast(traces: readonly Trace[]): Trace | 'crossed' {
  const dependent = traces.filter(isDependent)
  const isRanked = traces.every((trace) => trace.rank !== undefined)
  const rank = isRanked ? Math.max(0, ...traces.map((trace) => trace.rank ?? 0)) : undefined
  const [first, ...others] = dependent
  if (first === undefined) return shared(rank)
  if (dependent.some((trace) => trace.axis === 'unknown')) return unclear(rank)
  const own = Number(first.axis)
  if (rank === undefined) {
    const isWide = traces.every(
      (each) => each === first || (each.rank ?? Number.POSITIVE_INFINITY) <= own + 1,
    )
    return isWide ? batched(own, first.rank) : unclear()
  }
  const place = (trace: Trace): number => Number(trace.axis) + rank - (trace.rank ?? 0)
  return others.every((each) => place(each) === place(first)) ? batched(place(first), rank) : 'crossed'
}

/** What is known of a tensor that comes from one place or another. */
export function join(a: Trace, b: Trace): Trace {
  const rank = a.rank === b.rank ? a.rank : undefined
  if (a.axis === 'none' && b.axis === 'none') {
    const sizes = a.sizes?.length === b.sizes?.length ? a.sizes : undefined
    return shared(
      rank,
      sizes?.map((size, at) => (size === b.sizes?.[at] ? size : undefined)),
    )
  }
  if (a.axis === 'none' || a.axis === b.axis) return { axis: b.axis, rank }
  return b.axis === 'none' ? { axis: a.axis, rank } : unclear(rank)
}

export function isSame(a: Trace, b: Trace): boolean {
  if (a.axis !== b.axis || a.rank !== b.rank || a.sizes?.length !== b.sizes?.length) return false
  return a.sizes?.every((size, at) => size === b.sizes?.[at]) ?? true
}
