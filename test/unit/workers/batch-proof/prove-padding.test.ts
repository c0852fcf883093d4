import { describe, expect, it } from 'vitest'
import type { ProofRows } from '../../../../src/protocol/replica/proof.js'
import type { Padding } from '../../../../src/tensors/batch/batch-plan.js'
import type { Signature, Tensor } from '../../../../src/tensors/tensor.js'
import type { RunOnce } from '../../../../workers/batch-proof/proof-rows.js'
import { provePadding } from '../../../../workers/batch-proof/prove-padding.js'
import { BackgroundWorker, NO_HAZARDS } from '../../../../workers/replica/background-worker.js'

const SIGNATURE: Signature = {
  inputs: [
    { name: 'x', type: 'float32', dims: ['batch', 'length'] },
    { name: 'mask', type: 'float32', dims: ['batch', 'length'] },
  ],
  outputs: [{ name: 'y', type: 'float32', dims: ['batch'] }],
}
const PADDING: Padding = { inputs: [1, 1], outputs: [-1], mask: 1, length: undefined }

function tensor(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'float32', dims, data: Float32Array.from(values) }
}

/** A model that answers each row by its values and its mask, and all inputs that it has run. */
function runOf(
  answer: (values: readonly number[], mask: readonly number[]) => number,
): RunOnce & { seen: Tensor[] } {
  const seen: Tensor[] = []
  const run: RunOnce = async ([x, mask]) => {
    seen.push(x as Tensor)
    const [rows, length] = (x as Tensor).dims as [number, number]
    const row = ({ data }: Tensor, at: number): number[] =>
      Array.from((data as Float32Array).subarray(at * length, (at + 1) * length))
    const answers = Array.from({ length: rows }, (_, at) =>
      answer(row(x as Tensor, at), row(mask as Tensor, at)),
    )
    return [tensor([rows], answers)]
  }
  return Object.assign(run, { seen })
}

const peak = (values: readonly number[]): number => Math.max(...values)
const maskedSum = (values: readonly number[], mask: readonly number[]): number =>
  values.reduce((sum, value, at) => ((mask[at] as number) > 0 ? sum + value : sum), 0)
const ones = (length: number): number[] => new Array(length).fill(1)

async function refusalOf(
  run: RunOnce,
  rows: ProofRows,
  samples: readonly number[][],
): Promise<string | undefined> {
  const order = { maxRows: 16, tolerance: { rtol: 1e-4, atol: 1e-6 }, padding: PADDING, rows }
  const known = await Promise.all(
    samples.map(async (values) => {
      const inputs = [tensor([1, values.length], values), tensor([1, values.length], ones(values.length))]
      return { inputs, outputs: await run(inputs) }
    }),
  )
  const part = { signature: SIGNATURE, run, order, samples: known, inputs: [0, 0], outputs: [0], sampleMs: 0 }
  const search = provePadding(part, PADDING)
  for (;;) {
    const step = await search.next()
    if (step.done === true) return step.value
  }
}

describe('the proof of filling up', () => {
  it.each<ProofRows>(['all', 'made-up'])(
    'refuses with rows that are %s what positive samples hide',
    async (rows) => {
      expect(await refusalOf(runOf(peak), rows, [[1, 2, 3]])).toMatch(/padded from \d to \d+, output "y"/)
    },
  )

  it.each<ProofRows>(['all', 'made-up', 'sent'])(
    'is found with rows that are %s where a mask counts',
    async (rows) => {
      expect(
        await refusalOf(runOf(maskedSum), rows, [
          [1, 2, 3],
          [4, 5],
          [-1, 2, 3, 4, 5, 6, 7, 8, 9],
        ]),
      ).toBeUndefined()
    },
  )

  it('tries what callers have sent, at every length', async () => {
    const odd = (values: readonly number[], mask: readonly number[]): number =>
      values.length === 16 && (mask[8] as number) > 0 ? -1 : maskedSum(values, mask)
    const long = Array.from({ length: 9 }, (_, at) => at)
    expect(await refusalOf(runOf(odd), 'sent', [[1, 2, 3]])).toBeUndefined()
    expect(await refusalOf(runOf(odd), 'sent', [[1, 2, 3], long])).toMatch(/padded from 9 to 16/)
  })

  it('makes up no row unless it may', async () => {
    const run = runOf(maskedSum)
    await refusalOf(run, 'sent', [[1, 2, 3]])
    for (const { data } of run.seen) {
      for (const value of data as Float32Array) expect([0, 1, 2, 3]).toContain(value)
    }
  })

  it('finds what only a batch of unequal lengths shows', async () => {
    const run: RunOnce = async ([x, mask], ...more) => {
      const [y] = await runOf(maskedSum)([x as Tensor, mask as Tensor], ...more)
      // The mask of the first row is taken for that of all.
      const first = Array.from((mask as Tensor).data as Float32Array).slice(0, (x as Tensor).dims[1])
      const isEqual = Array.from((mask as Tensor).data as Float32Array).every(
        (value, at) => value === first[at % first.length],
      )
      return isEqual
        ? [y as Tensor]
        : [
            tensor(
              (y as Tensor).dims,
              Array.from((y as Tensor).data as Float32Array, () => 0),
            ),
          ]
    }
    expect(await refusalOf(run, 'all', [[1, 2, 3]])).toMatch(/output "y"/)
  })
})

describe('a check of a batch that was filled up', () => {
  async function faultOf(run: RunOnce): Promise<string | undefined> {
    const background = new BackgroundWorker(SIGNATURE, run, NO_HAZARDS)
    const x = tensor([2, 8], [-1, -2, -3, 0, 0, 0, 0, 0, -4, -5, 0, 0, 0, 0, 0, 0])
    const mask = tensor([2, 8], [1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    const outputs = await run([x, mask])
    const plan = { inputs: [0, 0], outputs: [0], padding: PADDING }
    background.check({
      inputs: [x, mask],
      outputs,
      rows: [1, 1],
      lengths: [3, 2],
      plan,
      axes: [0],
      padded: PADDING.outputs,
      wanted: undefined,
    })
    const tolerance = { rtol: 1e-4, atol: 1e-6 }
    const task = {
      kind: 'background',
      budgetMs: 10_000,
      maxRunMs: 1_000,
      tolerance,
      prove: undefined,
      tried: undefined,
    } as const
    const { fault, checks } = await background.work(task)
    expect(checks).toBe(1)
    return fault?.reason
  }

  it('compares with each request as it came', async () => {
    expect(await faultOf(runOf(maskedSum))).toBeUndefined()
    // Filled up alone it would be as wrong as in the batch: 0 for -1.
    expect(await faultOf(runOf(peak))).toMatch(/other outputs than alone: output 0 is 0 at 0, expected -1/)
  })
})
