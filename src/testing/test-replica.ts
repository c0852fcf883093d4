import { errors } from '../errors/errors.js'
import type { Clock, Timer } from '../platform/clock.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import { failure } from '../protocol/failure.js'
import { readRun } from '../protocol/replica/pack-layout.js'
import type { RunResult } from '../protocol/replica/replica-replies.js'
import type { LoadTask, RunTask } from '../protocol/replica/replica-task.js'
import { byName } from '../tensors/by-name.js'
import { copyOf } from '../tensors/input/copies.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import { readAnswer } from './read-answer.js'
import type { TestVersion } from './test-model.js'
import {
  type Reply,
  ThreadlessHost,
  type ThreadlessIdentity,
  type ThreadlessTask,
} from './threadless-host.js'

/** Model of a replica, and the surroundings that the replica needs. */
export interface TestReplicaOptions {
  readonly identity: ThreadlessIdentity
  readonly signature: Signature
  readonly behaviour: TestVersion
  readonly clock: Clock
  readonly onGone: () => void
  /** Receives each promise of the test that the replica waits for. */
  readonly onWait: (answer: Promise<unknown>) => void
}

/** Replica whose model is a function of a test. Each reply comes in a turn of its own, as from a thread. */
export class TestReplica extends ThreadlessHost {
  readonly #options: TestReplicaOptions
  readonly #subject: { readonly model: string; readonly version: string }
  #timer: Timer | undefined

  constructor(options: TestReplicaOptions) {
    // A thread may not be ended in the middle of a task.
    super(options.identity, false)
    this.#options = options
    const { model, version } = options.identity
    this.#subject = { model, version }
  }

  protected override begin(task: ThreadlessTask): void {
    const { message } = task
    if (message.kind === 'load') this.#load(task as ThreadlessTask<LoadTask>)
    else if (message.kind === 'run') void this.#runAll(task as ThreadlessTask<RunTask>)
    else if (message.kind === 'release') this.#replyLater(task, { ok: true })
    else this.#replyLater(task, NOTHING_TO_PROVE)
  }

  protected override onGone(): void {
    this.#options.clock.clear(this.#timer)
    this.#options.onGone()
  }

  #load(task: ThreadlessTask<LoadTask>): void {
    const { signature, behaviour, clock } = this.#options
    const { loadMs = 0, loadError } = behaviour
    const load = (): void => {
      if (this.task !== task) return
      try {
        const error = typeof loadError === 'function' ? loadError() : loadError
        if (error !== undefined) throw error
        this.#reply(task, { ok: true, signature })
      } catch (error) {
        const what = `the loader of ${task.message.source} failed`
        this.#reply(task, failure(asRuntimeError('ERR_MODEL_LOAD', what, error, this.#subject)))
      }
    }
    if (loadMs === 0) clock.setImmediate(load)
    else if (loadMs < Number.POSITIVE_INFINITY) this.#timer = clock.setTimeout(load, loadMs)
  }

  /** Runs the requests of a pack one after another; failures are among the results. */
  async #runAll(task: ThreadlessTask<RunTask>): Promise<void> {
    const { runs, buffer } = task.message
    const cursor = { offset: 0 }
    const inputs = runs.map((shape) => readRun(this.#options.signature, shape, buffer, cursor))
    const results: RunResult[] = []
    for (const [index, { outputs }] of runs.entries()) {
      if (this.task !== task) return
      // A thread that is to end begins no other run either.
      if (this.isTerminated) break
      this.progress = index
      results.push(await this.#run(inputs[index] as Tensor[], outputs))
    }
    this.#replyLater(task, { ok: true, buffer, results, hasBackgroundWork: false })
  }

  /** Runs one request: calls `answer` at the beginning, and has its outputs when the latency has passed. */
  async #run(inputs: readonly Tensor[], wanted: readonly string[] | undefined): Promise<RunResult> {
    const { signature, behaviour, clock } = this.#options
    const startedAtMs = clock.now()
    this.counts.runs += 1
    try {
      const names = signature.inputs.map(({ name }) => name)
      const feeds = (): Record<string, Tensor> => byName(names, inputs.map(copyOf))
      const answer = this.#follow(async () => behaviour.answer(feeds()))
      await this.#pass(latencyOf(behaviour, feeds))
      const outputs = readAnswer(await answer, signature, wanted, this.#subject)
      const data = outputs.map((output) => output.data)
      return {
        answer: {
          dims: outputs.map(({ dims }) => dims),
          data: data.map((own) => (ArrayBuffer.isView(own) ? (own.buffer as ArrayBuffer) : own)),
        },
        ms: clock.now() - startedAtMs,
      }
    } catch (error) {
      this.counts.failedRuns += 1
      return failure(asRuntimeError('ERR_INFERENCE', 'the run failed', error, this.#subject))
    } finally {
      this.counts.busyMs += clock.now() - startedAtMs
    }
  }

  #follow<T>(call: () => Promise<T>): Promise<T> {
    const promise = call()
    // It may fail before the time of the run is over.
    promise.catch(() => undefined)
    this.#options.onWait(promise)
    return promise
  }

  #pass(ms: number): Promise<void> | undefined {
    if (ms === 0) return undefined
    return new Promise((resolve) => {
      if (ms < Number.POSITIVE_INFINITY) this.#timer = this.#options.clock.setTimeout(resolve, ms)
    })
  }

  #replyLater(task: ThreadlessTask, reply: Reply): void {
    this.#options.clock.setImmediate(() => this.#reply(task, reply))
  }

  /** Replies to `task`, unless the replica has died meanwhile. */
  #reply(task: ThreadlessTask, reply: Reply): void {
    if (this.task === task) task.reply(reply)
  }
}

const NOTHING_TO_PROVE = {
  ok: true,
  hasBackgroundWork: false,
  proof: undefined,
  trial: undefined,
  checks: 0,
  fault: undefined,
} as const

function latencyOf({ latencyMs = 0 }: TestVersion, feeds: () => Record<string, Tensor>): number {
  const ms: unknown = typeof latencyMs === 'function' ? latencyMs(feeds()) : latencyMs
  if (typeof ms === 'number' && ms >= 0) return ms
  throw new errors.ERR_INVALID_OPTIONS(
    `\`latencyMs\` returned ${String(ms)}: it has to be a number of 0 or more`,
  )
}
