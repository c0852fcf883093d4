/** Weight of a new run against the earlier ones: for its size, and for the present speed of the machine. */
const SIZE_WEIGHT = 0.05
const SPEED_WEIGHT = 0.1
/**
 * A run that took longer than this multiple of the expected time was held up by something else, and counts as that
 * multiple.
 */
const MAX_OUTLIER = 3

/** The average run of one size class. */
interface SizeClass {
  rows: number
  /** Duration at the speed that the machine had when the first run was observed. */
  ms: number
}

/**
 * Estimates the duration of runs of a model as `perRowMs * rows + perRunMs`: a line through the durations of runs of
 * about 1, 2, 4, 8, ... rows, and separately the duration of a single row, with which batches are compared. When runs
 * get slower all at once, because others use the machine, the estimates for sizes that have not been observed since
 * grow too.
 */
export class CostModel {
  readonly #classes: (SizeClass | undefined)[] = []
  #single: SizeClass | undefined
  #speed = 1
  #perRowMs = 0
  #perRunMs = 0

  get perRowMs(): number {
    return this.#perRowMs * this.#speed
  }

  get perRunMs(): number {
    return this.#perRunMs * this.#speed
  }

  /** Expected duration of a single row; undefined until one was observed. */
  get singleMs(): number | undefined {
    return this.#single === undefined ? undefined : this.#single.ms * this.#speed
  }

  /** Returns the expected duration of a single request of `rows` rows; undefined while nothing is known. */
  aloneMs(rows: number): number | undefined {
    return rows === 1 ? this.singleMs : this.batchMs(rows)
  }

  /** Returns the expected duration of a run of `rows` rows; undefined while nothing is known. */
  batchMs(rows: number): number | undefined {
    if (this.#classes.length === 0) return undefined
    return Math.max(0, this.#perRowMs * rows + this.#perRunMs) * this.#speed
  }

  /** Observes a run. A run of one row counts as that of a single request. */
  observe(rows: number, ms: number): void {
    const index = Math.floor(Math.log2(rows))
    const isSingle = rows === 1
    const sizeClass = isSingle ? this.#single : this.#classes[index]
    const expectedMs = sizeClass === undefined ? 0 : sizeClass.ms * this.#speed
    const counted = expectedMs > 0 ? Math.min(ms, MAX_OUTLIER * expectedMs) : ms
    if (expectedMs > 0) this.#speed *= 1 + SPEED_WEIGHT * (counted / expectedMs - 1)
    if (isSingle) this.#single = updated(this.#single, rows, counted / this.#speed)
    this.#classes[index] = updated(this.#classes[index], rows, counted / this.#speed)
    this.#fit()
  }

  /**
   * Fits the line by least squares of relative errors, so that a run of one row counts as much as one of a hundred.
   */
  #fit(): void {
    let [weights, sumRows, sumMs, rowsRows, rowsMs] = [0, 0, 0, 0, 0]
    for (const sizeClass of this.#classes) {
      if (sizeClass === undefined) continue
      const { rows, ms } = sizeClass
      const weight = 1 / (ms * ms + Number.EPSILON)
      weights += weight
      sumRows += weight * rows
      sumMs += weight * ms
      rowsRows += weight * rows * rows
      rowsMs += weight * rows * ms
    }
    const spread = weights * rowsRows - sumRows * sumRows
    this.#perRowMs = spread > 1e-9 * weights * rowsRows ? (weights * rowsMs - sumRows * sumMs) / spread : 0
    this.#perRowMs = Math.max(0, this.#perRowMs)
    this.#perRunMs = (sumMs - this.#perRowMs * sumRows) / weights
  }
}

function updated(sizeClass: SizeClass | undefined, rows: number, ms: number): SizeClass {
  if (sizeClass === undefined) return { rows, ms }
  sizeClass.rows += SIZE_WEIGHT * (rows - sizeClass.rows)
  sizeClass.ms += SIZE_WEIGHT * (ms - sizeClass.ms)
  return sizeClass
}
