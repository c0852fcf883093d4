import { describe, expect, it } from 'vitest'
import type {
  Proof,
  ProofOrder,
  ProofRows,
  ProofTrial,
  Proven,
} from '../../../../src/protocol/replica/proof.js'
import type { Signature, Tensor } from '../../../../src/tensors/tensor.js'
import { BatchProver, type Hazards } from '../../../../workers/batch-proof/batch-prover.js'
import type { RunOnce } from '../../../../workers/batch-proof/proof-rows.js'

const SIGNATURE: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: ['batch', 4] }],
  outputs: [{ name: 'y', type: 'float32', dims: ['batch', 4] }],
}
const NO_HAZARDS: Hazards = { ofBatch: () => undefined, ofMadeUp: () => undefined }

/** What a model answers to a row, which may look at its neighbours. */
type Answer = (row: readonly number[], at: number, rows: readonly (readonly number[])[]) => number[]

const twice: Answer = (row) => row.map((value) => value * 2)

function tensor(...rows: readonly (readonly number[])[]): Tensor {
  return { type: 'float32', dims: [rows.length, 4], data: Float32Array.from(rows.flat()) }
}

function rowsOf({ data }: Tensor): number[][] {
  const values = Array.from(data as Float32Array)
  return Array.from({ length: values.length / 4 }, (_, row) => values.slice(4 * row, 4 * row + 4))
}

/** A prover of a model, and every row that was run. */
class Bed {
  readonly seen: number[][] = []
  readonly prover: BatchProver
  readonly run: RunOnce

  constructor(answer: Answer, hazards: Hazards = NO_HAZARDS) {
    this.run = async ([x]) => {
      const rows = rowsOf(x as Tensor)
      this.seen.push(...rows)
      return [tensor(...rows.map((row, at) => answer(row, at, rows)))]
    }
    this.prover = new BatchProver(SIGNATURE, this.run, hazards)
  }

  async offer(row: readonly number[], ms = 0.01): Promise<void> {
    this.prover.offer([tensor(row)], await this.run([tensor(row)]), ms, true)
  }

  start(rows: ProofRows, more: Partial<ProofOrder> = {}): void {
    const tolerance = { rtol: 1e-4, atol: 1e-6 }
    this.prover.start({ maxRows: 40, tolerance, padding: undefined, rows, ...more })
  }

  async decided(): Promise<Proof> {
    for (;;) {
      const proof = (await this.prover.advance(performance.now() + 10_000, 1_000)) as Proof
      if (proof.state !== 'proving' || !this.prover.hasWork) return proof
    }
  }
}

const SAMPLES = [
  [1, 2, 3, 4],
  [-1, 7, 0.5, 2],
]

async function proofOf(answer: Answer, rows: ProofRows, samples = SAMPLES): Promise<Proof> {
  const bed = new Bed(answer)
  for (const sample of samples) await bed.offer(sample)
  bed.start(rows)
  return bed.decided()
}

const isNaNRow = (row: readonly number[]): boolean => row.some((value) => Number.isNaN(value))
const next = (rows: readonly (readonly number[])[], at: number): readonly number[] =>
  rows[at + 1] ?? [0, 0, 0, 0]
const before = (rows: readonly (readonly number[])[], at: number): readonly number[] =>
  rows[at - 1] ?? [0, 0, 0, 0]
const zeros = (row: readonly number[]): number[] => row.map(() => 0)

describe('a proof', () => {
  it.each<ProofRows>(['all', 'made-up', 'sent'])(
    'of a harmless model is found by rows that are %s',
    async (rows) => {
      expect(await proofOf(twice, rows)).toMatchObject({
        state: 'proven',
        plan: { inputs: [0], outputs: [0] },
        maxRows: 40,
      })
    },
  )

  it('of a harmless model is found from one sample', async () => {
    expect(await proofOf(twice, 'all', [[1, 2, 3, 4]])).toMatchObject({ state: 'proven' })
  })

  it.each<[string, Answer]>([
    [
      'the next row times 0',
      (row, at, rows) => row.map((value, k) => value + 0 * (next(rows, at)[k] as number)),
    ],
    [
      'the row before times 0',
      (row, at, rows) => row.map((value, k) => value + 0 * (before(rows, at)[k] as number)),
    ],
    [
      'one element of the next row times 0',
      (row, at, rows) => row.map((value) => value + 0 * (next(rows, at)[3] as number)),
    ],
    [
      'a neighbour that is infinite',
      (row, at, rows) => (next(rows, at).includes(Number.NEGATIVE_INFINITY) ? zeros(row) : [...row]),
    ],
    [
      'a neighbour that is huge',
      (row, at, rows) => (next(rows, at).some((value) => value > 1e20) ? zeros(row) : [...row]),
    ],
    [
      'a neighbour that is tiny',
      (row, at, rows) => (next(rows, at).some((value) => value > 0 && value < 1e-20) ? zeros(row) : [...row]),
    ],
    ['a number of five rows', (row, _, rows) => (rows.length === 5 ? zeros(row) : [...row])],
    ['a number of 17 rows', (row, _, rows) => (rows.length === 17 ? zeros(row) : [...row])],
    [
      'more rows than 8 where it has a NaN',
      (row, _, rows) => (isNaNRow(row) && rows.length >= 8 ? zeros(row) : [...row]),
    ],
  ])('refuses a model whose answer depends on %s', async (_, answer) => {
    for (const rows of ['all', 'made-up'] as const) {
      expect(await proofOf(answer, rows)).toMatchObject({
        state: 'refused',
        reason: expect.stringMatching(/other outputs in a batch/),
      })
    }
  })

  it('with time for all sizes refuses any number of rows that is answered otherwise', async () => {
    for (const odd of [10, 21, 39]) {
      const answer: Answer = (row, _, rows) => (rows.length === odd ? zeros(row) : [...row])
      expect(await proofOf(answer, 'all')).toMatchObject({ state: 'refused' })
    }
  })

  it('with rows that were sent runs no other row', async () => {
    const bed = new Bed(twice)
    for (const sample of SAMPLES) await bed.offer(sample)
    bed.start('sent')
    expect(await bed.decided()).toMatchObject({ state: 'proven' })
    for (const row of bed.seen) expect(SAMPLES).toContainEqual(row)
    // One row alone shows nothing of answers that are mixed up.
    expect(await proofOf(twice, 'sent', [[1, 2, 3, 4]])).toMatchObject({ state: 'needs-samples' })
  })

  it('makes up no row for a model that it could be the end of', async () => {
    const bed = new Bed(twice, { ...NO_HAZARDS, ofMadeUp: () => 'it divides integers' })
    for (const sample of SAMPLES) await bed.offer(sample)
    bed.start('made-up')
    expect(await bed.decided()).toMatchObject({ state: 'proven' })
    for (const row of bed.seen) expect(SAMPLES).toContainEqual(row)
  })
})

describe('a proof that is tried first', () => {
  async function onTrial(hazards = NO_HAZARDS): Promise<{ bed: Bed; trial: ProofTrial }> {
    const bed = new Bed(twice, hazards)
    for (const sample of SAMPLES) await bed.offer(sample)
    bed.seen.splice(0)
    bed.start('tried-first')
    expect(await bed.decided()).toEqual({ state: 'proving' })
    const trial = bed.prover.takeTrial() as ProofTrial
    return { bed, trial }
  }

  const proven: Proven = {
    state: 'proven',
    plan: { inputs: [0], outputs: [0], padding: undefined },
    maxRows: 24,
    costs: [],
    sample: [],
    paddingRefusal: undefined,
  }

  it('asks once, with what was sent, and does nothing until it is told', async () => {
    const { bed, trial } = await onTrial()
    expect(trial.samples.map(([x]) => rowsOf(x as Tensor)[0])).toEqual(expect.arrayContaining(SAMPLES))
    expect(bed.prover.takeTrial()).toBeUndefined()
    expect(bed.prover.hasWork).toBe(false)
    expect(bed.seen).toEqual([])
    // Nor does it take more samples.
    await bed.offer([9, 9, 9, 9])
    expect(bed.prover.hasWork).toBe(false)
  })

  it('repeats what was proven with rows that were sent, up to as many', async () => {
    const { bed } = await onTrial()
    bed.prover.learn(proven)
    expect(bed.prover.hasWork).toBe(true)
    expect(await bed.decided()).toMatchObject({ state: 'proven', maxRows: 24 })
    for (const row of bed.seen) expect(SAMPLES).toContainEqual(row)
  })

  it('is refused where the trial is', async () => {
    const { bed } = await onTrial()
    bed.prover.learn({ state: 'refused', reason: 'it died' })
    expect(await bed.decided()).toEqual({ state: 'refused', reason: 'it died' })
    expect(bed.seen).toEqual([])
  })

  it('keeps to rows that were sent where the trial had no result', async () => {
    const { bed } = await onTrial()
    bed.prover.learn({ state: 'unknown' })
    expect(await bed.decided()).toMatchObject({ state: 'proven', maxRows: 40 })
    for (const row of bed.seen) expect(SAMPLES).toContainEqual(row)
  })

  it('makes rows up itself where there is no place for a trial and nothing against it', async () => {
    const { bed } = await onTrial()
    bed.prover.learn({ state: 'nowhere' })
    expect(await bed.decided()).toMatchObject({ state: 'proven', maxRows: 40 })
    expect(bed.seen.some(isNaNRow)).toBe(true)
    const careful = await onTrial({ ...NO_HAZARDS, ofMadeUp: () => 'it divides integers' })
    careful.bed.prover.learn({ state: 'nowhere' })
    expect(await careful.bed.decided()).toMatchObject({ state: 'proven' })
    expect(careful.bed.seen.some(isNaNRow)).toBe(false)
  })

  it('keeps what the trial has to say against filling up', async () => {
    const bed = new Bed(twice)
    await bed.offer(SAMPLES[0] as number[])
    const padding = { inputs: [1], outputs: [1] }
    bed.start('tried-first', { padding })
    await bed.decided()
    bed.prover.learn({ ...proven, paddingRefusal: 'it differs' })
    expect(await bed.decided()).toMatchObject({
      state: 'proven',
      paddingRefusal: 'it differs',
      plan: { padding: undefined },
    })
  })

  it('asks again with more samples where those were only too much alike', async () => {
    const { bed } = await onTrial()
    const missing = { state: 'needs-samples', reason: 'all the same', isUnanimous: true } as const
    bed.prover.learn(missing)
    expect(await bed.decided()).toEqual(missing)
    await bed.offer([5, 6, 7, 8])
    expect(await bed.decided()).toEqual({ state: 'proving' })
    expect(bed.prover.takeTrial()?.samples).toHaveLength(SAMPLES.length + 1)
  })

  it('asks again with other samples where something spoke against those', async () => {
    const { bed } = await onTrial()
    bed.prover.learn({ state: 'needs-samples', reason: 'they are too slow' })
    expect(await bed.decided()).toEqual({ state: 'needs-samples', reason: 'they are too slow' })
    await bed.offer([5, 6, 7, 8])
    expect(await bed.decided()).toEqual({ state: 'proving' })
    expect(bed.prover.takeTrial()?.samples).toEqual([[tensor([5, 6, 7, 8])]])
  })
})

describe('a sample', () => {
  const NAN_ROW = [Number.NaN, Number.NaN, Number.NaN, Number.NaN]

  it('that shows nothing decides nothing', async () => {
    const bed = new Bed(twice)
    const none: Tensor = { type: 'float32', dims: [0, 4], data: new Float32Array(0) }
    bed.start('all')
    for (let index = 0; index < 100; index += 1) {
      bed.prover.offer([none], [none], 0.01, true)
      await bed.offer(NAN_ROW)
    }
    expect(await bed.decided()).toMatchObject({ state: 'needs-samples' })
    await bed.offer([1, 2, 3, 4])
    expect(await bed.decided()).toMatchObject({ state: 'proven' })
  })

  it('that was slow is not the measure of the others', async () => {
    const bed = new Bed(twice)
    bed.start('all')
    await bed.offer([1, 2, 3, 4], 5_000)
    expect(await bed.decided()).toMatchObject({
      state: 'needs-samples',
      reason: expect.stringMatching(/a run takes 5000/),
    })
    await bed.offer([2, 3, 4, 5])
    expect(await bed.decided()).toMatchObject({ state: 'proven' })
  })
})
