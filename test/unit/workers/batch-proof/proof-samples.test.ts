import { describe, expect, it } from 'vitest'
import type { ProofOrder } from '../../../../src/protocol/replica/proof.js'
import type { Signature, Tensor } from '../../../../src/tensors/tensor.js'
import { BatchProver } from '../../../../workers/batch-proof/batch-prover.js'
import type { RunOnce } from '../../../../workers/batch-proof/proof-rows.js'
import { NO_HAZARDS } from '../../../../workers/replica/background-worker.js'

const signature: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: ['batch', 'width'] }],
  outputs: [{ name: 'y', type: 'float32', dims: ['batch', 'width'] }],
}
const order: ProofOrder = {
  maxRows: 8,
  tolerance: { rtol: 1e-4, atol: 1e-6 },
  padding: undefined,
  rows: 'made-up',
}

const rowOf = (...values: number[]): Tensor => ({
  type: 'float32',
  dims: [1, values.length],
  data: Float32Array.from(values),
})

/** Twice the input. */
const twice: RunOnce = async ([x]) => {
  const { dims, data } = x as Tensor<'float32'>
  return [{ type: 'float32', dims, data: data.map((value) => 2 * value) }]
}

/** The same, less what the largest value of all rows is above 50. */
const coupled: RunOnce = async ([x]) => {
  const { dims, data } = x as Tensor<'float32'>
  const peak = Math.max(0, Math.max(...data) - 50)
  return [{ type: 'float32', dims, data: data.map((value) => 2 * value - peak) }]
}

/** The same for one row of odd width: two along either axis fail. */
const alone: RunOnce = async (inputs) => {
  const [rows, width = 0] = (inputs[0] as Tensor).dims
  if (rows !== 1 || width % 2 === 0) throw new Error('one row only')
  return twice(inputs)
}

class Bench {
  readonly prover: BatchProver
  runs = 0
  offered = 0

  readonly run: RunOnce

  constructor(run: RunOnce, rows: ProofOrder['rows'] = 'made-up') {
    this.run = run
    const counted: RunOnce = (inputs, wanted) => {
      this.runs += 1
      return run(inputs, wanted)
    }
    this.prover = new BatchProver(signature, counted, NO_HAZARDS)
    this.prover.start({ ...order, rows })
  }

  /** Offers a request as a replica does, and does the work there is. */
  async offer(x: Tensor, { ms = 0.01, isTypical = false, hasAll = true } = {}): Promise<string> {
    this.offered += 1
    if (this.prover.wants([x])) {
      const outputs = await this.run([x])
      this.prover.offer([x], hasAll ? outputs : undefined, ms, isTypical)
    }
    while (this.prover.hasWork) {
      this.proof = await this.prover.advance(Number.POSITIVE_INFINITY, 1_000)
    }
    return this.proof?.state ?? 'none'
  }

  proof: Awaited<ReturnType<BatchProver['advance']>>
}

describe('the samples of a proof', () => {
  it('are three at least', async () => {
    const bench = new Bench(twice)
    expect(await bench.offer(rowOf(1, 2))).toBe('none')
    expect(await bench.offer(rowOf(3, 4))).toBe('none')
    expect(await bench.offer(rowOf(5, 6))).toBe('proven')
  })

  it('are one that the user has configured', async () => {
    expect(await new Bench(twice).offer(rowOf(1, 2), { isTypical: true })).toBe('proven')
  })

  it('get all their outputs where their callers asked for some', async () => {
    const bench = new Bench(twice)
    for (const value of [1, 2, 3]) await bench.offer(rowOf(value, 1), { hasAll: false })
    expect(bench.proof?.state).toBe('proven')
  })

  it('are those of the most common shape', async () => {
    const fixed: RunOnce = async (inputs) => {
      const [{ dims }] = inputs as [Tensor]
      if (dims[1] !== 2 && dims[0] !== 1) throw new Error('one row only')
      return twice(inputs)
    }
    const bench = new Bench(fixed)
    await bench.offer(rowOf(1, 2, 3))
    await bench.offer(rowOf(1, 2))
    expect(await bench.offer(rowOf(3, 4))).toBe('proven')
  })

  it('are replaced after a refusal that may lie in them, ever more seldom and six times at most', async () => {
    const bench = new Bench(alone)
    let width = 1
    while ((await bench.offer(rowOf(...new Array(width).fill(width)))) !== 'refused') {
      if (bench.offered % 6 === 0) width += 2
      expect(bench.offered).toBeLessThan(100)
    }
    expect(bench.proof).toMatchObject({ reason: expect.stringMatching(/one row only/) })
    expect(bench.offered).toBeGreaterThan(32)
    expect(bench.runs).toBeLessThan(20)
    expect(bench.prover.wants([rowOf(1, 2)])).toBe(false)
  })

  it('of a shape that is refused are not run again, and come to an end', async () => {
    const bench = new Bench(alone)
    for (const value of [1, 2, 3]) await bench.offer(rowOf(value, 1, 1))
    expect(bench.proof).toMatchObject({
      state: 'needs-samples',
      reason: expect.stringMatching(/one row only/),
    })
    const { runs } = bench
    while ((await bench.offer(rowOf(4, 5, 6))) !== 'refused') expect(bench.offered).toBeLessThan(100)
    expect(bench.runs).toBe(runs)
    expect(bench.proof).toMatchObject({ state: 'refused', reason: expect.stringMatching(/one row only/) })
  })

  it('refuse for good when sound ones change the answers of others', async () => {
    const bench = new Bench(coupled)
    for (const value of [90, 80, 70]) await bench.offer(rowOf(value, 1))
    expect(bench.proof).toMatchObject({
      state: 'refused',
      reason: expect.stringMatching(/has other outputs/),
    })
    expect(bench.prover.wants([rowOf(1, 2)])).toBe(false)
  })

  it('prove nothing as long as all answers are the same, and never refuse for that', async () => {
    const bench = new Bench(twice, 'sent')
    for (let turn = 0; turn < 300; turn += 1) {
      expect(await bench.offer(rowOf(0, 0))).toBe(turn < 2 ? 'none' : 'needs-samples')
    }
    expect(bench.runs).toBeLessThan(200)
    while ((await bench.offer(rowOf(bench.offered, 0))) !== 'proven') {
      expect(bench.offered).toBeLessThan(1_000)
    }
  })

  it('that are not finite are replaced', async () => {
    const spreading: RunOnce = async ([x]) => {
      const { dims, data } = x as Tensor<'float32'>
      const isWhole = data.every(Number.isFinite)
      return [{ type: 'float32', dims, data: data.map((value) => (isWhole ? 2 * value : Number.NaN)) }]
    }
    const bench = new Bench(spreading, 'sent')
    await bench.offer(rowOf(Number.NaN, 1))
    for (let index = 0; bench.proof?.state !== 'proven'; index += 1) {
      await bench.offer(rowOf(index, 1))
      expect(bench.offered).toBeLessThan(20)
    }
  })
})
