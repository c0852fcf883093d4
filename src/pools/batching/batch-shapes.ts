import type { Proven, RunCost } from '../../protocol/replica/proof.js'
import { type BatchPlan, SHARED } from '../../tensors/batch/batch-plan.js'
import { paddedLength } from '../../tensors/batch/padding.js'
import { commonSize, elementCount } from '../../tensors/batch/rows.js'
import type { Tensor, TensorData } from '../../tensors/tensor.js'
import type { RunRequest } from '../queue/run-request.js'
import { ShapeBucket } from '../queue/shape-bucket.js'

/**
 * Maximum number of elements of an input that all rows of a batch share; requests with a larger one are not batched,
 * as comparing it would cost too much.
 */
const MAX_SHARED_ELEMENTS = 256
/** Number of shapes whose costs are remembered. */
const MAX_BUCKETS = 1_000

/**
 * Sorts requests into buckets by what the requests of one batch must have in common: the dims beside the batch axis,
 * the values of shared inputs, and the wanted outputs.
 */
export class BatchShapes {
  readonly #plan: BatchPlan
  readonly #costs: readonly RunCost[]
  /** The shape that the proof itself covers; undefined if its batches are padded, which the proof did not try. */
  readonly #provenShape: string | undefined
  readonly #buckets = new Map<string, ShapeBucket<RunRequest>>()
  /** The bucket requested last; most traffic has one shape. */
  recent: ShapeBucket<RunRequest>
  #recentExample: readonly Tensor[] | undefined
  #recentOutputs: readonly string[] | undefined
  #recentLength = 0

  constructor({ plan, costs, sample }: Proven) {
    this.#plan = plan
    this.#costs = costs
    this.#provenShape = plan.padding === undefined ? this.#shapeOf(sample, 0) : undefined
    this.recent = this.#newBucket()
  }

  /** Returns the bucket of a request and sets its rows; undefined if it fits no batch. */
  bucketOf(request: RunRequest): ShapeBucket<RunRequest> | undefined {
    const inputs = request.inputs as readonly Tensor[]
    const rows = this.#rowsOf(inputs)
    if (rows === undefined) return undefined
    if (!this.#measure(request, inputs)) return undefined
    request.rows = rows
    if (this.#isLikeRecent(inputs, request)) return this.recent
    const shape = this.#shapeOf(inputs, request.paddedTo)
    const key = JSON.stringify([shape, request.outputs])
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      this.#evictBuckets()
      bucket = this.#newBucket()
      if (shape === this.#provenShape) bucket.proof.provenRows = Number.POSITIVE_INFINITY
      this.#buckets.set(key, bucket)
    }
    this.recent = bucket
    // The example is a copy of the small values, because the caller may change its arrays, and they must not be
    // retained.
    this.#recentExample = inputs.map((tensor, index) => this.#exampleOf(tensor, index))
    this.#recentOutputs = request.outputs
    this.#recentLength = request.paddedTo
    return bucket
  }

  #rowsOf(inputs: readonly Tensor[]): number | undefined {
    const axes = this.#plan.inputs
    for (let index = 0; index < inputs.length; index += 1) {
      const isShared = axes[index] === SHARED
      if (isShared && elementCount((inputs[index] as Tensor).dims) > MAX_SHARED_ELEMENTS) return undefined
    }
    return commonSize(inputs, axes)
  }

  /** Sets the length of a request; returns false if its inputs disagree about it. */
  #measure(request: RunRequest, inputs: readonly Tensor[]): boolean {
    const { padding } = this.#plan
    if (padding === undefined) return true
    const length = commonSize(inputs, padding.inputs)
    if (length === undefined) return false
    request.length = length
    request.paddedTo = paddedLength(length)
    return true
  }

  #isLikeRecent(inputs: readonly Tensor[], { outputs, paddedTo }: RunRequest): boolean {
    const example = this.#recentExample
    if (example === undefined || paddedTo !== this.#recentLength) return false
    if (!isSameList(outputs, this.#recentOutputs)) return false
    for (let index = 0; index < inputs.length; index += 1) {
      const axis = this.#plan.inputs[index] as number
      const pad = this.#plan.padding?.inputs[index]
      const recent = example[index] as Tensor
      const tensor = inputs[index] as Tensor
      if (recent.dims.length !== tensor.dims.length) return false
      for (let dim = 0; dim < recent.dims.length; dim += 1) {
        if (dim === axis || dim === pad) continue
        if (recent.dims[dim] !== tensor.dims[dim]) return false
      }
      if (axis === SHARED && !isSameList(recent.data, tensor.data)) return false
    }
    return true
  }

  #exampleOf(tensor: Tensor, index: number): Tensor {
    const isShared = this.#plan.inputs[index] === SHARED
    const data: TensorData = isShared ? tensor.data.slice() : []
    return { type: tensor.type, dims: tensor.dims.slice(), data } as Tensor
  }

  #shapeOf(inputs: readonly Tensor[], paddedTo: number): string {
    const parts = inputs.map(({ dims, data }, index) => {
      const axis = this.#plan.inputs[index] as number
      const pad = this.#plan.padding?.inputs[index]
      const sizes = dims.map((dim, at) => (at === axis ? '*' : at === pad ? paddedTo : dim)).join()
      return axis === SHARED ? [sizes, Array.from(data as ArrayLike<unknown>, exactly)] : sizes
    })
    return JSON.stringify(parts)
  }

  #newBucket(): ShapeBucket<RunRequest> {
    const bucket = new ShapeBucket<RunRequest>()
    for (const { rows, ms } of this.#costs) bucket.costs.observe(rows, ms)
    return bucket
  }

  #evictBuckets(): void {
    if (this.#buckets.size < MAX_BUCKETS) return
    for (const [key, bucket] of this.#buckets) {
      if (bucket.size === 0 && bucket !== this.recent) this.#buckets.delete(key)
      if (this.#buckets.size < MAX_BUCKETS / 2) return
    }
  }
}

/** Returns the value as text, in which -0 and 0 differ. */
function exactly(value: unknown): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

function isSameList(left: ArrayLike<unknown> | undefined, right: ArrayLike<unknown> | undefined): boolean {
  if (left === right) return true
  if (left === undefined || right === undefined || left.length !== right.length) return false
  for (let index = 0; index < left.length; index += 1) {
    if (!Object.is(left[index], right[index])) return false
  }
  return true
}
