import { writeFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import type { Proof } from '../../src/protocol/replica/proof.js'
import { type Signature, TENSOR_TYPES, type Tensor } from '../../src/tensors/tensor.js'
import { BatchProver } from '../../workers/batch-proof/batch-prover.js'
import { join, split } from '../../workers/batch-proof/batch-rows.js'
import { hazardsIn } from '../../workers/onnx/hazards-in.js'
import type { CorpusCase } from '../support/corpus/case.js'
import { corpus } from '../support/corpus/index.js'
import { randomFrom, requestOf, whatDiffers } from '../support/corpus/requests.js'

const folder = tempFolder()
afterAll(() => folder[Symbol.dispose]())

const maxRows = 33
const samples = 6
const requests = 40
const batches = 40

/** Runs a graph on plain onnxruntime, in this thread. */
class Runner implements AsyncDisposable {
  readonly session: ort.InferenceSession
  readonly signature: Signature

  private constructor(session: ort.InferenceSession, signature: Signature) {
    this.session = session
    this.signature = signature
  }

  static async open(bytes: Uint8Array): Promise<Runner> {
    const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 as const }
    const session = await ort.InferenceSession.create(bytes, options)
    const specOf = (value: ort.InferenceSession.ValueMetadata): Signature['inputs'][number] => {
      const type = TENSOR_TYPES.find((known) => value.isTensor && known === value.type)
      if (type === undefined || !value.isTensor)
        throw new Error(`${value.name} is no tensor that can be passed`)
      return { name: value.name, type, dims: [...value.shape] }
    }
    const signature = {
      inputs: session.inputMetadata.map(specOf),
      outputs: session.outputMetadata.map(specOf),
    }
    return new Runner(session, signature)
  }

  readonly run = async (inputs: readonly Tensor[]): Promise<Tensor[]> => {
    const feeds = this.signature.inputs.map(({ name }, at) => [name, { ...inputs[at], location: 'cpu' }])
    const results = await this.session.run(Object.fromEntries(feeds))
    return this.signature.outputs.map(({ name }) => {
      const { type, dims, data } = results[name] as ort.Tensor
      const isBits = type === 'float16' && !(data instanceof Uint16Array)
      const own = data as ArrayBufferView
      return {
        type,
        dims,
        data: isBits ? new Uint16Array(own.buffer, own.byteOffset, own.byteLength / 2) : data,
      } as Tensor
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.release()
  }
}

/** Returns the proof that a replica would find for a model from some requests. */
async function proofOf({ bytes, inputs }: CorpusCase, runner: Runner): Promise<Proof> {
  const path = joinPath(folder.path, 'model.onnx')
  writeFileSync(path, bytes)
  const prover = new BatchProver(
    runner.signature,
    runner.run,
    hazardsIn(path, runner.signature, () => undefined),
  )
  const random = randomFrom(1)
  for (let sample = 0; sample < samples; sample++) {
    const request = requestOf(inputs, 1, random, true)
    prover.offer(request, await runner.run(request), 0.1, true)
  }
  prover.start({ maxRows, tolerance: { rtol: 1e-4, atol: 1e-6 }, padding: undefined, rows: 'made-up' })
  const proof = await prover.advance(Number.POSITIVE_INFINITY, 60_000)
  if (proof === undefined) throw new Error('no proof was ordered')
  return proof
}

/** Runs batches of requests that differ in every way; describes each output that differs from a run alone. */
async function wrongAnswers({ inputs }: CorpusCase, runner: Runner, proof: Proof): Promise<string[]> {
  if (proof.state !== 'proven') throw new Error('it is not proven')
  const random = randomFrom(2)
  const all: { rows: number; request: Tensor[]; answer: Tensor[] }[] = []
  for (let at = 0; at < requests; at++) {
    const rows = at % 3 === 0 ? 1 + Math.floor(random() * 3) : 1
    const request = requestOf(inputs, rows, random)
    const answer = await runner.run(request).catch(() => undefined)
    // Some operators refuse NaN: such a request is run alone in the end, and rejected.
    if (answer !== undefined) all.push({ rows, request, answer })
  }
  const wrong: string[] = []
  for (let batch = 0; batch < batches; batch++) {
    // A batch of five rows, which no proof tries, is part of every case.
    const size = batch === 0 ? 5 : 1 + Math.floor(random() * maxRows)
    const chosen: (typeof all)[number][] = []
    for (let left = size; left > 0; left -= chosen.at(-1)?.rows ?? 0) {
      const fitting = all.filter(({ rows }) => rows <= left)
      chosen.push(fitting[Math.floor(random() * fitting.length)] as (typeof all)[number])
    }
    const joined = join(
      chosen.map(({ request }) => request),
      proof.plan.inputs,
    )
    const answers = split(
      await runner.run(joined),
      proof.plan.outputs,
      chosen.map(({ rows }) => rows),
    )
    for (const [at, { answer }] of chosen.entries()) {
      const differs = whatDiffers(answer, answers[at] as Tensor[])
      if (differs !== undefined) wrong.push(`in a batch of ${size}, ${differs}`)
    }
  }
  return wrong
}

describe('the batching corpus', () => {
  it('has enough graphs with unique names', () => {
    expect(corpus.length).toBeGreaterThan(400)
    expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
  })
})

describe('requests share a run through', () => {
  it.each(corpus.filter(({ isSafe }) => isSafe).map((each) => [each.name, each] as const))(
    '%s',
    async (_, each) => {
      await using runner = await Runner.open(each.bytes)
      const proof = await proofOf(each, runner)
      expect(proof).toMatchObject({ state: 'proven' })
      expect(await wrongAnswers(each, runner, proof)).toEqual([])
    },
  )
})

describe('requests never share a run through', () => {
  it.each(corpus.filter(({ isSafe }) => !isSafe).map((each) => [each.name, each] as const))(
    '%s',
    async (_, each) => {
      await using runner = await Runner.open(each.bytes)
      expect(await proofOf(each, runner)).toMatchObject({ state: 'refused', reason: expect.any(String) })
    },
  )
})
