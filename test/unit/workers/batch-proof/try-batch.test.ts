import { describe, expect, it } from 'vitest'
import type { BatchPlan } from '../../../../src/tensors/batch/batch-plan.js'
import { resized } from '../../../../src/tensors/batch/padding.js'
import type { Tensor } from '../../../../src/tensors/tensor.js'
import { join } from '../../../../workers/batch-proof/batch-rows.js'
import { type Trial, tryBatch } from '../../../../workers/batch-proof/try-batch.js'

const PLAN: BatchPlan = { inputs: [0, -1], outputs: [0], padding: undefined }
const PADDED: BatchPlan = { inputs: [0, -1], outputs: [0], padding: { inputs: [1, -1], outputs: [1] } }

type Run = (x: number[][], shared: number[]) => number[][]

function matrix(rows: readonly (readonly number[])[]): Tensor<'float32'> {
  return {
    type: 'float32',
    dims: [rows.length, rows[0]?.length ?? 0],
    data: Float32Array.from(rows.flat()),
  }
}

function rowsOf({ dims, data }: Tensor): number[][] {
  const [rows = 0, width = 0] = dims
  return Array.from({ length: rows }, (_, row) =>
    Array.from((data as Float32Array).subarray(row * width, (row + 1) * width)),
  )
}

/** Tries a batch of requests of some rows each, which share a value; padded to 8 where their lengths differ. */
function trial(requests: number[][][], model: Run, shared = [1], plan = PLAN): Promise<Trial> {
  const z: Tensor = { type: 'float32', dims: [shared.length], data: Float32Array.from(shared) }
  const tensors = requests.map((rows) => [matrix(rows), z])
  const isPadded = plan.padding !== undefined
  const joined = join(
    tensors.map(([x, own]) => [isPadded ? resized(x as Tensor, 1, 8) : (x as Tensor), own as Tensor]),
    plan.inputs,
  )
  const order = { tolerance: { rtol: 1e-4, atol: 1e-6 } }
  const lengths = isPadded ? requests.map(([row]) => row?.length as number) : undefined
  const rows = requests.map(({ length }) => length)
  return tryBatch({ inputs: joined, rows, lengths, plan, wanted: [0], order }, async ([x, own]) => [
    matrix(model(rowsOf(x as Tensor), Array.from((own as Tensor<'float32'>).data))),
  ])
}

const double = (x: number[][]): number[][] => x.map((row) => row.map((value) => 2 * value))
const NAN = Number.NaN

describe('a trial of a batch', () => {
  it('passes when each request is answered as it is alone, and the answers differ', async () => {
    const { alone, ms, result } = await trial([[[1, 2]], [[3, 4]]], double)
    expect(result).toEqual({ isTelling: true, reason: undefined })
    expect(alone.map((answer) => rowsOf((answer as Tensor[])[0] as Tensor))).toEqual([[[2, 4]], [[6, 8]]])
    expect(ms).toBeGreaterThanOrEqual(0)
  })

  it('tells nothing when all answers are the same', async () => {
    expect((await trial([[[1, 2]], [[1, 2]], [[1, 2]]], double)).result).toEqual({ isTelling: false })
  })

  it('gives the answers of requests by themselves whatever the batch answers', async () => {
    const mixed: Run = (x) => double(x).reverse()
    const { alone, result } = await trial([[[1, 2]], [[3, 4]]], mixed)
    expect(result).toMatchObject({
      isTelling: true,
      reason: expect.stringMatching(/other outputs than alone/),
    })
    expect(alone.map((answer) => rowsOf((answer as Tensor[])[0] as Tensor))).toEqual([[[2, 4]], [[6, 8]]])
  })

  it('is refused where the shared input decides how many rows there are', async () => {
    // As x + z with z of several rows.
    const broadcast: Run = (x, shared) => {
      if (x.length !== 1 && x.length !== shared.length) throw new Error('cannot broadcast')
      return shared.map((value, row) => (x[x.length === 1 ? 0 : row] as number[]).map((each) => each + value))
    }
    const requests = [1, 2, 3].map((value) => [[value, value]])
    for (const shared of [
      [1, 1],
      [1, 2, 3],
      [1, 2, 3, 4],
    ]) {
      const { alone, result } = await trial(requests, broadcast, shared)
      expect(result.reason, `${shared.length} rows`).toBeDefined()
      expect(alone.map((answer) => (answer as Tensor[])[0]?.dims)).toEqual(
        requests.map(() => [shared.length, 2]),
      )
    }
  })

  it.each([
    ['fails', (x: number[][]) => (x.length > 1 ? raise() : x), /fails: no/],
    ['has too few rows', (x: number[][]) => x.slice(0, 1), /has 2 rows, but an output of it dims|dims/],
  ] as [string, Run, RegExp][])('is refused where the batch %s', async (_, model, reason) => {
    expect((await trial([[[1, 2]], [[3, 4]]], model)).result.reason).toMatch(reason)
  })

  it('compares padded batches with what requests of their own length are answered', async () => {
    const requests = [[[1, 2, 3]], [[-4, -5]]]
    expect((await trial(requests, double, [1], PADDED)).result).toEqual({ isTelling: true })
    // The zeros behind a request of negative numbers are larger.
    const peak: Run = (x) => x.map((row) => row.map((value) => value - Math.max(...row)))
    expect((await trial(requests, peak, [1], PADDED)).result.reason).toMatch(/other outputs than alone/)
  })

  it('tells nothing of padding when no request was filled up', async () => {
    const whole = [1, 2].map((value) => [Array.from({ length: 8 }, (_, at) => value + at)])
    expect((await trial(whole, double, [1], PADDED)).result).toEqual({ isTelling: false })
  })

  it('tells nothing when a request fails by itself, which is answered with its error', async () => {
    const { alone, result } = await trial([[[1, 2]], [[99, 4]]], (x) =>
      x.some(([first]) => first === 99) ? raise() : double(x),
    )
    expect(result).toEqual({ isTelling: false })
    expect(alone[0]).not.toBeInstanceOf(Error)
    expect(alone[1]).toBeInstanceOf(Error)
  })

  it('tells nothing when only one that is not finite is answered otherwise', async () => {
    const odd: Run = (x) => x.map((row) => (row.includes(NAN) && x.length > 1 ? row.map(() => 0) : row))
    expect((await trial([[[1, 2]], [[NAN, 4]]], odd)).result).toEqual({ isTelling: false })
  })

  it('is refused when a number that is not finite reaches the answer of another', async () => {
    const spreads: Run = (x) => (x.flat().includes(NAN) ? x.map((row) => row.map(() => NAN)) : x)
    expect((await trial([[[1, 2]], [[NAN, 4]]], spreads)).result.reason).toMatch(/other outputs than alone/)
  })

  it('passes with numbers that are not finite where they change nothing', async () => {
    const requests = [[[1, NAN]], [[Number.NEGATIVE_INFINITY, 4]]]
    expect((await trial(requests, double)).result).toEqual({ isTelling: true })
  })

  it('takes apart requests of several rows', async () => {
    const requests = [
      [
        [1, 2],
        [3, 4],
      ],
      [[5, 6]],
      [
        [7, 8],
        [9, 1],
        [2, 3],
      ],
    ]
    expect((await trial(requests, double)).result).toEqual({ isTelling: true })
  })
})

function raise(): never {
  throw new Error('no')
}
