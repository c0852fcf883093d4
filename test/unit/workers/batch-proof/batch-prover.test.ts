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

/** Computes the output of a model for one row, which may depend on other rows. */
type Answer = (row: readonly number[], at: number, rows: readonly (readonly number[])[]) => number[]

const twice: Answer = (row) => row.map((value) => value * 2)

function tensor(...rows: readonly (readonly number[])[]): Tensor {
  return { type: 'float32', dims: [rows.length, 4], data: Float32Array.from(rows.flat()) }
}

function rowsOf({ data }: Tensor): number[][] {
  const values = Array.from(data as Float32Array)
  return Array.from({ length: values.length / 4 }, (_, row) => values.slice(4 * row, 4 * row + 4))
}

/** A prover for a model, and every row that was run. */
class Harness {
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
  const harness = new Harness(answer)
  for (const sample of samples) await harness.offer(sample)
  harness.start(rows)
  return harness.decided()
}

const isNaNRow = (row: readonly number[]): boolean => row.some((value) => Number.isNaN(value))
const next = (rows: readonly (readonly number[])[], at: number): readonly number[] =>
  rows[at + 1] ?? [0, 0, 0, 0]
const before = (rows: readonly (readonly number[])[], at: number): readonly number[] =>
  rows[at - 1] ?? [0, 0, 0, 0]
const zeros = (row: readonly number[]): number[] => row.map(() => 0)

describe('a batch proof', () => {
  it.each<ProofRows>(['all', 'made-up', 'sent'])(
    'of a harmless model succeeds with rows: %s',
    async (rows) => {
      expect(await proofOf(twice, rows)).toMatchObject({
        state: 'proven',
        plan: { inputs: [0], outputs: [0] },
        maxRows: 40,
      })
    },
  )

  it('of a harmless model succeeds with one sample', async () => {
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
      'an infinite neighbour',
      (row, at, rows) => (next(rows, at).includes(Number.NEGATIVE_INFINITY) ? zeros(row) : [...row]),
    ],
    [
      'a huge neighbour',
      (row, at, rows) => (next(rows, at).some((value) => value > 1e20) ? zeros(row) : [...row]),
    ],
    [
      'a tiny neighbour',
      (row, at, rows) => (next(rows, at).some((value) => value > 0 && value < 1e-20) ? zeros(row) : [...row]),
    ],
    ['a batch of exactly five rows', (row, _, rows) => (rows.length === 5 ? zeros(row) : [...row])],
    ['a batch of exactly 17 rows', (row, _, rows) => (rows.length === 17 ? zeros(row) : [...row])],
    [
      'a NaN in a batch of at least 8 rows',
      (row, _, rows) => (isNaNRow(row) && rows.length >= 8 ? zeros(row) : [...row]),
    ],
  ])('refuses a model whose outputs depend on %s', async (_, answer) => {
    for (const rows of ['all', 'made-up'] as const) {
      expect(await proofOf(answer, rows)).toMatchObject({
        state: 'refused',
        reason: expect.stringMatching(/answered otherwise in a batch/),
      })
    }
  })

  it('with time for all sizes refuses a model that differs at any number of rows', async () => {
    for (const odd of [10, 21, 39]) {
      const answer: Answer = (row, _, rows) => (rows.length === odd ? zeros(row) : [...row])
      expect(await proofOf(answer, 'all')).toMatchObject({ state: 'refused' })
    }
  })

  it('with rows "sent" runs only rows that callers have sent', async () => {
    const harness = new Harness(twice)
    for (const sample of SAMPLES) await harness.offer(sample)
    harness.start('sent')
    expect(await harness.decided()).toMatchObject({ state: 'proven' })
    for (const row of harness.seen) expect(SAMPLES).toContainEqual(row)
    // A single row cannot reveal mixed-up outputs.
    expect(await proofOf(twice, 'sent', [[1, 2, 3, 4]])).toMatchObject({ state: 'needs-samples' })
  })

  it('makes up no rows for a model that made-up rows could crash', async () => {
    const harness = new Harness(twice, { ...NO_HAZARDS, ofMadeUp: () => 'it divides integers' })
    for (const sample of SAMPLES) await harness.offer(sample)
    harness.start('made-up')
    expect(await harness.decided()).toMatchObject({ state: 'proven' })
    for (const row of harness.seen) expect(SAMPLES).toContainEqual(row)
  })
})

describe('a batch proof that is tried in a separate process first', () => {
  async function onTrial(hazards = NO_HAZARDS): Promise<{ harness: Harness; trial: ProofTrial }> {
    const harness = new Harness(twice, hazards)
    for (const sample of SAMPLES) await harness.offer(sample)
    harness.seen.splice(0)
    harness.start('tried-first')
    expect(await harness.decided()).toEqual({ state: 'proving' })
    const trial = harness.prover.takeTrial() as ProofTrial
    return { harness, trial }
  }

  const proven: Proven = {
    state: 'proven',
    plan: { inputs: [0], outputs: [0], padding: undefined },
    maxRows: 24,
    costs: [],
    sample: [],
    paddingRefusal: undefined,
  }

  it('publishes one trial with the samples, and waits for its result', async () => {
    const { harness, trial } = await onTrial()
    expect(trial.samples.map(([x]) => rowsOf(x as Tensor)[0])).toEqual(expect.arrayContaining(SAMPLES))
    expect(harness.prover.takeTrial()).toBeUndefined()
    expect(harness.prover.hasWork).toBe(false)
    expect(harness.seen).toEqual([])
    // It does not accept more samples either.
    await harness.offer([9, 9, 9, 9])
    expect(harness.prover.hasWork).toBe(false)
  })

  it('repeats a successful trial with sent rows, up to the same number of rows', async () => {
    const { harness } = await onTrial()
    harness.prover.learn(proven)
    expect(harness.prover.hasWork).toBe(true)
    expect(await harness.decided()).toMatchObject({ state: 'proven', maxRows: 24 })
    for (const row of harness.seen) expect(SAMPLES).toContainEqual(row)
  })

  it('is refused if the trial is refused', async () => {
    const { harness } = await onTrial()
    harness.prover.learn({ state: 'refused', reason: 'it died' })
    expect(await harness.decided()).toEqual({ state: 'refused', reason: 'it died' })
    expect(harness.seen).toEqual([])
  })

  it('uses only sent rows if the trial had no result', async () => {
    const { harness } = await onTrial()
    harness.prover.learn({ state: 'unknown' })
    expect(await harness.decided()).toMatchObject({ state: 'proven', maxRows: 40 })
    for (const row of harness.seen) expect(SAMPLES).toContainEqual(row)
  })

  it('makes up rows itself if no process for a trial is available and no hazard is known', async () => {
    const { harness } = await onTrial()
    harness.prover.learn({ state: 'nowhere' })
    expect(await harness.decided()).toMatchObject({ state: 'proven', maxRows: 40 })
    expect(harness.seen.some(isNaNRow)).toBe(true)
    const careful = await onTrial({ ...NO_HAZARDS, ofMadeUp: () => 'it divides integers' })
    careful.harness.prover.learn({ state: 'nowhere' })
    expect(await careful.harness.decided()).toMatchObject({ state: 'proven' })
    expect(careful.harness.seen.some(isNaNRow)).toBe(false)
  })

  it('adopts the refusal of padding by the trial', async () => {
    const harness = new Harness(twice)
    await harness.offer(SAMPLES[0] as number[])
    const padding = { inputs: [1], outputs: [1] }
    harness.start('tried-first', { padding })
    await harness.decided()
    harness.prover.learn({ ...proven, paddingRefusal: 'it differs' })
    expect(await harness.decided()).toMatchObject({
      state: 'proven',
      paddingRefusal: 'it differs',
      plan: { padding: undefined },
    })
  })

  it('starts another trial with more samples if the outputs of the samples were all alike', async () => {
    const { harness } = await onTrial()
    const missing = { state: 'needs-samples', reason: 'all the same', isUnanimous: true } as const
    harness.prover.learn(missing)
    expect(await harness.decided()).toEqual(missing)
    await harness.offer([5, 6, 7, 8])
    expect(await harness.decided()).toEqual({ state: 'proving' })
    expect(harness.prover.takeTrial()?.samples).toHaveLength(SAMPLES.length + 1)
  })

  it('starts another trial with other samples if the samples were unsuitable', async () => {
    const { harness } = await onTrial()
    harness.prover.learn({ state: 'needs-samples', reason: 'they are too slow' })
    expect(await harness.decided()).toEqual({ state: 'needs-samples', reason: 'they are too slow' })
    await harness.offer([5, 6, 7, 8])
    expect(await harness.decided()).toEqual({ state: 'proving' })
    expect(harness.prover.takeTrial()?.samples).toEqual([[tensor([5, 6, 7, 8])]])
  })
})

describe('a sample of a proof', () => {
  const NAN_ROW = [Number.NaN, Number.NaN, Number.NaN, Number.NaN]

  it('without information does not decide the proof', async () => {
    const harness = new Harness(twice)
    const none: Tensor = { type: 'float32', dims: [0, 4], data: new Float32Array(0) }
    harness.start('all')
    for (let index = 0; index < 100; index += 1) {
      harness.prover.offer([none], [none], 0.01, true)
      await harness.offer(NAN_ROW)
    }
    expect(await harness.decided()).toMatchObject({ state: 'needs-samples' })
    await harness.offer([1, 2, 3, 4])
    expect(await harness.decided()).toMatchObject({ state: 'proven' })
  })

  it('that was slow does not determine the time of the others', async () => {
    const harness = new Harness(twice)
    harness.start('all')
    await harness.offer([1, 2, 3, 4], 5_000)
    expect(await harness.decided()).toMatchObject({
      state: 'needs-samples',
      reason: expect.stringMatching(/a run takes 5000/),
    })
    await harness.offer([2, 3, 4, 5])
    expect(await harness.decided()).toMatchObject({ state: 'proven' })
  })
})
