import { errors } from '../../src/errors/errors.js'
import { asRuntimeError } from '../../src/protocol/error-codec.js'
import type { Failure } from '../../src/protocol/failure.js'
import { failure } from '../../src/protocol/failure.js'
import type { LoadedModel } from '../../src/protocol/loader.js'
import { readRun } from '../../src/protocol/replica/pack-layout.js'
import type { Answer, RunDone, RunResult, SplitAnswers } from '../../src/protocol/replica/replica-replies.js'
import type { RunShape, RunTask } from '../../src/protocol/replica/replica-task.js'
import type { BatchPlan } from '../../src/tensors/batch/batch-plan.js'
import { byName } from '../../src/tensors/by-name.js'
import { copyOf } from '../../src/tensors/input/copies.js'
import type { Tensor } from '../../src/tensors/tensor.js'
import { split } from '../batch-proof/batch-rows.js'
import { resizeAll } from '../batch-proof/resize-all.js'
import { type TriedBatch, tryBatch } from '../batch-proof/try-batch.js'
import type { BackgroundWorker } from './background-worker.js'
import { readOutputs } from './check-loaded.js'
import { OutputWriter } from './output-writer.js'

export interface RunCounts {
  runs: number
  failedRuns: number
  busyMs: number
}

interface Subject {
  readonly model: string
  readonly version: string
}

/** Keeps runs for background work. */
export type RunKeeper = Pick<BackgroundWorker, 'hasWork' | 'offer' | 'check'>

/** Runs packs with a loaded model. */
export class PackRunner {
  readonly #model: LoadedModel
  readonly #isBuiltIn: boolean
  readonly #subject: Subject
  readonly #counts: RunCounts
  readonly #inputNames: readonly string[]
  readonly #outputNames: readonly string[]
  readonly #begin: (run: number) => void
  #plan: BatchPlan | undefined

  /** `begin` is called with the index of every run before the run. */
  constructor(
    model: LoadedModel,
    isBuiltIn: boolean,
    subject: Subject,
    counts: RunCounts,
    begin: (run: number) => void,
  ) {
    this.#begin = begin
    this.#model = model
    this.#isBuiltIn = isBuiltIn
    this.#subject = subject
    this.#counts = counts
    this.#inputNames = model.signature.inputs.map(({ name }) => name)
    this.#outputNames = model.signature.outputs.map(({ name }) => name)
  }

  /** Does the runs of a pack one after another; failures are among the results. */
  async run(task: RunTask, background: RunKeeper): Promise<{ reply: RunDone; buffers: ArrayBuffer[] }> {
    this.#plan = task.plan ?? this.#plan
    const cursor = { offset: 0 }
    const inputs = task.runs.map((shape) => readRun(this.#model.signature, shape, task.buffer, cursor))
    const writer = new OutputWriter(task.buffer, cursor.offset, this.#isBuiltIn)
    const results: RunResult[] = []
    for (const [index, shape] of task.runs.entries()) {
      const runInputs = inputs[index] as Tensor[]
      this.#begin(index)
      try {
        results.push(
          await (shape.rows === undefined
            ? this.#single(runInputs, shape, writer, background)
            : this.#batch(runInputs, shape, shape.rows, writer, background)),
        )
      } catch (error) {
        results.push(this.#failure(error))
      }
    }
    const reply: RunDone = { ok: true, buffer: task.buffer, results, hasBackgroundWork: background.hasWork }
    return { reply, buffers: [task.buffer, ...writer.buffers] }
  }

  /** Does one run and resolves with the outputs, in the order of `wanted`, or of the signature if it is absent. */
  async runOnce(inputs: readonly Tensor[], wanted?: readonly string[]): Promise<Tensor[]> {
    return (await this.#timed(inputs, wanted)).outputs
  }

  async #timed(
    inputs: readonly Tensor[],
    wanted: readonly string[] | undefined,
  ): Promise<{ outputs: Tensor[]; ms: number }> {
    const startedAtMs = performance.now()
    const count = (): number => {
      const ms = performance.now() - startedAtMs
      this.#counts.busyMs += ms
      return ms
    }
    this.#counts.runs += 1
    try {
      const outputs = await (this.#isBuiltIn
        ? this.#runTrusted(inputs, wanted)
        : this.#runOther(inputs, wanted))
      return { outputs, ms: count() }
    } catch (error) {
      count()
      this.#counts.failedRuns += 1
      throw asRuntimeError('ERR_INFERENCE', 'the run failed', error, this.#subject)
    }
  }

  async #runTrusted(inputs: readonly Tensor[], wanted: readonly string[] | undefined): Promise<Tensor[]> {
    const named = await this.#model.run(byName(this.#inputNames, inputs), wanted)
    return (wanted ?? this.#outputNames).map((name) => named[name] as Tensor)
  }

  /**
   * Runs a custom loader's model on copies of the inputs: it may change them, keep or move their buffers, or
   * return them as outputs, while the pack's buffer holds other requests too.
   */
  async #runOther(inputs: readonly Tensor[], wanted: readonly string[] | undefined): Promise<Tensor[]> {
    const { run, signature } = this.#model
    const named = await run(byName(this.#inputNames, inputs.map(copyOf)), wanted?.slice())
    return readOutputs(named, signature, wanted, this.#subject)
  }

  async #single(
    inputs: readonly Tensor[],
    { outputs: wanted, keep }: RunShape,
    writer: OutputWriter,
    background: RunKeeper,
  ): Promise<RunResult> {
    const { outputs, ms } = await this.#timed(inputs, wanted)
    if (keep === 'sample' || keep === 'typical') {
      tryToKeep(() =>
        background.offer(inputs, wanted === undefined ? outputs : undefined, ms, keep === 'typical'),
      )
    }
    return { answer: writer.put(outputs, 1), ms }
  }

  async #batch(
    inputs: readonly Tensor[],
    { outputs: wanted, lengths, keep }: RunShape,
    rows: readonly number[],
    writer: OutputWriter,
    background: RunKeeper,
  ): Promise<RunResult> {
    const plan = this.#plan as BatchPlan
    if (typeof keep === 'object')
      return this.#trial({ inputs, rows, lengths, plan, order: keep }, wanted, writer)
    const axesOf = (all: readonly number[]): number[] =>
      (wanted ?? this.#outputNames).map((name) => all[this.#outputNames.indexOf(name)] as number)
    const axes = axesOf(plan.outputs)
    try {
      const { outputs, ms } = await this.#timed(inputs, wanted)
      checkRows(outputs, axes, rows)
      if (keep === 'check') {
        const padded = plan.padding === undefined ? undefined : axesOf(plan.padding.outputs)
        tryToKeep(() => background.check({ inputs, outputs, rows, lengths, plan, axes, padded, wanted }))
      }
      if (writer.isInline(outputs, rows.length)) return { answer: writer.put(outputs, rows.length), ms }
      return {
        answers: split(outputs, axes, rows).map((request) => writer.put(request, 1)),
        ms,
        fault: undefined,
      }
    } catch (error) {
      return this.#oneByOne(inputs, plan, rows, lengths, wanted, writer, error)
    }
  }

  /** Runs requests one by one, and also as a batch, whose outputs are only compared. */
  async #trial(
    batch: Omit<TriedBatch, 'wanted'>,
    wanted: readonly string[] | undefined,
    writer: OutputWriter,
  ): Promise<SplitAnswers> {
    const places = (wanted ?? this.#outputNames).map((name) => this.#outputNames.indexOf(name))
    const { alone, ms, result } = await tryBatch({ ...batch, wanted: places }, (inputs) =>
      this.runOnce(inputs, wanted),
    )
    const answers = alone.map((result) => (result instanceof Error ? failure(result) : writer.put(result, 1)))
    return { answers, ms, fault: undefined, trial: result }
  }

  /** Runs the requests of a failed batch one by one, so that only those that fail alone are rejected. */
  async #oneByOne(
    inputs: readonly Tensor[],
    plan: BatchPlan,
    rows: readonly number[],
    lengths: readonly number[] | undefined,
    wanted: readonly string[] | undefined,
    writer: OutputWriter,
    error: unknown,
  ): Promise<SplitAnswers> {
    const answers: (Answer | Failure)[] = []
    for (const [index, request] of split(inputs, plan.inputs, rows).entries()) {
      try {
        const sent = resizeAll(request, plan.padding?.inputs, lengths?.[index])
        answers.push(writer.put(await this.runOnce(sent, wanted), 1))
      } catch (cause) {
        answers.push(this.#failure(cause))
      }
    }
    const isBatchAtFault = answers.every((answer) => !('error' in answer))
    const reason = `a batch of ${rows.length} failed, while each of its requests succeeded alone: ${(error as Error).message}`
    return { answers, ms: undefined, fault: isBatchAtFault ? { reason } : undefined }
  }

  #failure(error: unknown): Failure {
    return failure(asRuntimeError('ERR_INFERENCE', 'the outputs cannot be sent', error, this.#subject))
  }
}

/** Calls `keep` and ignores its errors: there may be no memory for copies, which must not fail the request. */
function tryToKeep(keep: () => void): void {
  try {
    keep()
  } catch {
    // A later run may be kept.
  }
}

/** Checks the number of rows of each output. @throws ERR_INFERENCE if it differs from that of the inputs */
function checkRows(outputs: readonly Tensor[], axes: readonly number[], rows: readonly number[]): void {
  const total = rows.reduce((sum, count) => sum + count, 0)
  for (const [index, { dims }] of outputs.entries()) {
    if (dims[axes[index] as number] === total) continue
    throw new errors.ERR_INFERENCE(`output ${index} of a batch of ${total} rows has dims [${dims}]`)
  }
}
