import { describe, expect, it } from 'vitest'
import { aloneRun, type PackedRun, writePack } from '../../../../src/pools/packs/write-pack.js'
import { decodeError } from '../../../../src/protocol/error-codec.js'
import type { Failure } from '../../../../src/protocol/failure.js'
import type { LoadedModel } from '../../../../src/protocol/loader.js'
import { INLINE_BYTES } from '../../../../src/protocol/replica/pack-layout.js'
import type { RunDone, SplitAnswers } from '../../../../src/protocol/replica/replica-replies.js'
import type { RunShape, RunTask } from '../../../../src/protocol/replica/replica-task.js'
import type { BatchPlan } from '../../../../src/tensors/batch/batch-plan.js'
import { RecycledBuffers } from '../../../../src/tensors/recycled-buffers.js'
import type { Feeds, Outputs, Signature, Tensor } from '../../../../src/tensors/tensor.js'
import { PackRunner, type RunKeeper } from '../../../../workers/replica/pack-runner.js'
import { outputsOf } from '../../../support/packs.js'

const subject = { model: 'packs', version: '1' }
const signature: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: ['batch'] }],
  outputs: [
    { name: 'double', type: 'float32', dims: ['batch'] },
    { name: 'negative', type: 'float32', dims: ['batch'] },
  ],
}
const plan: BatchPlan = { inputs: [0], outputs: [0, 0], padding: undefined }

function floats(...data: number[]): Tensor {
  return { type: 'float32', dims: [data.length], data: Float32Array.from(data) }
}

/** Doubles and negates; a 13 fails the run that it is in. */
function outputs(feeds: Feeds): Outputs {
  const x = numbers(feeds.x)
  if (x.includes(13)) throw new RangeError('unlucky')
  return { double: floats(...x.map((each) => 2 * each)), negative: floats(...x.map((each) => -each)) }
}

/** A runner of a model, with all that it says. */
class Bench {
  readonly counts = { runs: 0, failedRuns: 0, busyMs: 0 }
  readonly begun: number[] = []
  readonly offered: unknown[][] = []
  readonly checked: unknown[] = []
  readonly runner: PackRunner
  readonly background: RunKeeper

  constructor(run: LoadedModel['run'] = outputs, isBuiltIn = true) {
    const model: LoadedModel = { signature, run }
    const begin = (index: number): number => this.begun.push(index)
    this.runner = new PackRunner(model, isBuiltIn, subject, this.counts, begin)
    this.background = {
      hasWork: false,
      offer: (...run) => void this.offered.push(run),
      check: (batch) => void this.checked.push(batch),
    }
  }

  async run(task: RunTask): Promise<RunDone & { readonly buffers: ArrayBuffer[] }> {
    const { reply, buffers } = await this.runner.run(task, this.background)
    return { ...reply, buffers }
  }
}

interface Packing {
  /** The requests of each run. */
  readonly runs: readonly (readonly number[][])[]
  readonly outputs?: readonly string[]
  readonly keep?: RunShape['keep']
  /** Room for answers. */
  readonly room?: number
}

function pack({ runs, outputs: wanted, keep, room = 1_024 }: Packing): RunTask {
  const packed = runs.map((requests): PackedRun => {
    const [alone] = aloneRun([]).requests
    const [first, ...others] = requests.map((x) => ({
      ...alone,
      inputs: [floats(...x)],
      outputs: wanted,
      rows: x.length,
    }))
    return { keep, requests: first === undefined ? [alone] : [first, ...others] }
  })
  return writePack(signature, packed, plan, new RecycledBuffers(), room)
}

/** A pack whose runs are each one request of one number. */
const alone = (...xs: number[]): RunTask => pack({ runs: xs.map((x) => [[x]]) })
/** A pack of one batch. */
const batch = (requests: number[][], more: Partial<Packing> = {}): RunTask => ({
  ...pack({ runs: [requests], ...more }),
  plan,
})

const numbers = (tensor: Tensor | undefined): number[] => Array.from((tensor as Tensor).data as Float32Array)
const errorOf = (result: unknown): Error => decodeError((result as Failure).error)

/** Returns the answer of each request of the one batch of a pack, or the code of its failure. */
function answers(done: RunDone): unknown[] {
  const { answers: each } = done.results[0] as SplitAnswers
  return each.map((answer) => {
    if ('error' in answer) return decodeError(answer.error).message
    const reply = { ...done, results: [{ answer, ms: 1 }] }
    return numbers(outputsOf(signature, reply).double)
  })
}

describe('a pack', () => {
  it('is answered run by run, in its own buffer, which is given back', async () => {
    const bench = new Bench()
    const task = alone(1, 2, 3)
    const done = await bench.run(task)
    expect([0, 1, 2].map((run) => numbers(outputsOf(signature, done, run).double))).toEqual([[2], [4], [6]])
    expect(numbers(outputsOf(signature, done, 2).negative)).toEqual([-3])
    expect(done.buffer).toBe(task.buffer)
    expect(done.buffers).toEqual([task.buffer])
    expect(bench.begun).toEqual([0, 1, 2])
    expect(bench.counts).toMatchObject({ runs: 3, failedRuns: 0 })
  })

  it('fails in the run that fails only', async () => {
    const bench = new Bench()
    const done = await bench.run(alone(1, 13, 3))
    expect(errorOf(done.results[1])).toMatchObject({
      code: 'ERR_INFERENCE',
      ...subject,
      cause: { name: 'RangeError', message: 'unlucky' },
    })
    expect([0, 2].map((run) => numbers(outputsOf(signature, done, run).double))).toEqual([[2], [6]])
    expect(bench.counts).toMatchObject({ runs: 3, failedRuns: 1 })
  })

  it('is answered with the outputs that are wanted, in their order', async () => {
    const wanted = ['negative']
    const bench = new Bench((feeds, names) => {
      expect(names).toEqual(wanted)
      return outputs(feeds)
    })
    const done = await bench.run(pack({ runs: [[[5]]], outputs: wanted }))
    expect(done.results).toMatchObject([{ answer: { dims: [[1]] } }])
  })

  it('is answered by buffers of their own where answers are large, or there is no room', async () => {
    const large = new Array(INLINE_BYTES / 4 + 1).fill(1)
    const done = await new Bench().run(pack({ runs: [[large]], room: 2 ** 20 }))
    // The pack's, and one for each output.
    expect(done.buffers).toHaveLength(3)
    expect(numbers(outputsOf(signature, done).double)).toHaveLength(large.length)
    const task = pack({ runs: [[[1]]], room: 0 })
    const tight = await new Bench().run({ ...task, buffer: task.buffer.slice(0, 8) })
    expect(tight.buffers).toHaveLength(3)
    expect(numbers(outputsOf(signature, tight).negative)).toEqual([-1])
  })

  it('says whether there is work beside', async () => {
    const bench = new Bench()
    expect((await bench.run(alone(1))).hasBackgroundWork).toBe(false)
    Object.assign(bench.background, { hasWork: true })
    expect((await bench.run(alone(1))).hasBackgroundWork).toBe(true)
  })
})

describe('a run to remember', () => {
  it('is offered to the proof as it was answered', async () => {
    const bench = new Bench()
    await bench.run(pack({ runs: [[[4]]], keep: 'sample' }))
    await bench.run(pack({ runs: [[[5]]], keep: 'typical', outputs: ['double'] }))
    const seen = bench.offered.map(([inputs, given, , isTypical]) => [
      numbers((inputs as Tensor[])[0]),
      (given as Tensor[] | undefined)?.map(numbers),
      isTypical,
    ])
    // Without outputs if not all were wanted.
    expect(seen).toEqual([
      [[4], [[8], [-4]], false],
      [[5], undefined, true],
    ])
  })

  it('is answered although there is no memory for it', async () => {
    const bench = new Bench()
    const short = (): never => {
      throw new RangeError('Array buffer allocation failed')
    }
    Object.assign(bench.background, { offer: short, check: short })
    const done = await bench.run(pack({ runs: [[[4]]], keep: 'sample' }))
    expect(numbers(outputsOf(signature, done).double)).toEqual([8])
    const checked = await bench.run(batch([[1], [2]], { keep: 'check' }))
    expect(checked.results[0]).toHaveProperty('answer')
  })
})

describe('a batch', () => {
  it('is one run, answered whole where it goes into the buffer', async () => {
    const bench = new Bench()
    const done = await bench.run(batch([[1], [2, 3]]))
    expect(bench.counts.runs).toBe(1)
    expect(numbers(outputsOf(signature, done).double)).toEqual([2, 4, 6])
  })

  it('is split where it does not', async () => {
    const task = batch([[1], [2, 3]], { room: 0 })
    const done = await new Bench().run({ ...task, buffer: task.buffer.slice(0, 16) })
    expect(answers(done)).toEqual([[2], [4, 6]])
  })

  it('is laid out by the plan that came with an earlier one', async () => {
    const bench = new Bench()
    await bench.run(batch([[1], [2]]))
    const later = await bench.run({ ...batch([[3], [4]]), plan: undefined })
    expect(numbers(outputsOf(signature, later).double)).toEqual([6, 8])
  })

  it('is kept for a check if it is to be', async () => {
    const bench = new Bench()
    await bench.run(batch([[1], [2]], { keep: 'check' }))
    expect(bench.checked).toMatchObject([{ rows: [1, 1], plan, axes: [0, 0], padded: undefined }])
  })

  it('that fails for one request fails that one only, and nothing is wrong with batches', async () => {
    const done = await new Bench().run(batch([[1], [13], [3]]))
    expect(answers(done)).toEqual([[2], expect.stringContaining('unlucky'), [6]])
    expect(done.results[0]).toMatchObject({ ms: undefined, fault: undefined })
  })

  it.each<[string, LoadedModel['run']]>([
    [
      'fails although no request of it does',
      (feeds) => {
        if (feeds.x?.dims[0] !== 1) throw new Error('one at a time')
        return outputs(feeds)
      },
    ],
    ['answers with fewer rows than it had', (feeds) => outputs({ x: floats(numbers(feeds.x)[0] as number) })],
  ])('that %s is answered one by one, and reported', async (_, run) => {
    const done = await new Bench(run).run(batch([[1], [2]]))
    expect(answers(done)).toEqual([[2], [4]])
    expect(done.results[0]).toMatchObject({
      fault: { reason: expect.stringContaining('a batch of 2 failed') },
    })
  })

  it('on trial is answered one by one, and compared', async () => {
    const keep = { tolerance: { rtol: 0, atol: 0 } }
    const right = await new Bench().run(batch([[1], [2]], { keep }))
    expect(answers(right)).toEqual([[2], [4]])
    expect(right.results[0]).toMatchObject({ trial: { isTelling: true, reason: undefined } })
    const mixing = new Bench((feeds) => {
      const x = numbers(feeds.x)
      return { double: floats(...x.map((each) => 2 * each * x.length)), negative: floats(...x) }
    })
    const wrong = await mixing.run(batch([[1], [2]], { keep }))
    expect(answers(wrong)).toEqual([[2], [4]])
    expect(wrong.results[0]).toMatchObject({ trial: { isTelling: true, reason: expect.any(String) } })
  })
})

describe('the model of a custom loader', () => {
  it('may change its inputs and keep what it answers with', async () => {
    const kept = floats(7)
    const bench = new Bench((feeds) => {
      ;(feeds.x as Tensor<'float32'>).data.fill(99)
      return { double: kept, negative: kept }
    }, false)
    const task = alone(1, 2)
    const done = await bench.run(task)
    expect(numbers(outputsOf(signature, done, 1).double)).toEqual([7])
    expect([...new Float32Array(task.buffer, 0, 1)]).toEqual([1])
    expect(numbers(kept)).toEqual([7])
  })

  it('fails the run that it answers with something else than its signature says', async () => {
    const bench = new Bench(() => ({ double: floats(1) }), false)
    const done = await bench.run(alone(1))
    expect(errorOf(done.results[0])).toMatchObject({
      code: 'ERR_INFERENCE',
      message: expect.stringContaining('"negative"'),
    })
  })
})
