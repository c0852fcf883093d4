import { errors } from '../../src/errors/errors.js'
import { encodeError } from '../../src/protocol/error-codec.js'
import type { BackgroundDone, RunResult } from '../../src/protocol/replica/replica-replies.js'
import type { BackgroundTask, RunShape, RunTask } from '../../src/protocol/replica/replica-task.js'
import type { Signature, TensorSpec } from '../../src/tensors/tensor.js'
import { FakeHost, type FakeTask } from '../support/fake-host.js'
import { inputsOf } from '../support/packs.js'
import type { Conditions, SimulatedPool } from './conditions.js'
import type { LoadFate, RunFate } from './program.js'

const spec: TensorSpec = { name: 'x', type: 'float32', dims: [1] }
const rows: TensorSpec = { ...spec, dims: ['batch'] }

/** The signature x -> y for one element. */
export const ALONE: Signature = { inputs: [spec], outputs: [{ ...spec, name: 'y' }] }
/** The same signature for any number of rows, so that requests may share runs. */
export const BATCHED: Signature = { inputs: [rows], outputs: [{ ...rows, name: 'y' }] }

export interface HostEvents {
  /** Reports that the engine has broken a promise. */
  violated(what: string): void
  happened(what: string): void
  /** Returns true if a caller waits for the outputs of one of these requests. */
  isAwaited(xs: readonly number[]): boolean
}

/**
 * A replica that acts by the conditions of the world, after a while. A load and a run are native code: the
 * thread cannot be ended before they return, and must not be ended while a caller still waits for them.
 */
export class SimulatedHost extends FakeHost {
  readonly pool: SimulatedPool
  readonly #conditions: Conditions
  readonly #events: HostEvents
  /** The number of steps of the batch proof that are left. */
  #proofs = 0
  /** Set while the current task hangs. */
  #thaw: (() => void) | undefined

  constructor(pool: SimulatedPool, conditions: Conditions, events: HostEvents) {
    super(pool.model, pool.version)
    this.pool = pool
    this.#conditions = conditions
    this.#events = events
    this.onTask = (task) => this.#begin(task)
  }

  get isHanging(): boolean {
    return this.#thaw !== undefined
  }

  /** Lets a hanging task return. */
  thaw(): void {
    this.#thaw?.()
  }

  /** The `x` of every request in the current run. */
  get xs(): number[] {
    const message = this.task?.message
    return message?.kind === 'run' ? valuesOf(message).flat() : []
  }

  override terminate(): Promise<void> {
    const { task, xs } = this
    if (!this.isTerminated && task !== undefined && !this.isHanging && this.#events.isAwaited(xs)) {
      this.#events.violated(`${this.#name} was ended while callers waited for its run`)
    }
    return super.terminate()
  }

  override run(...args: Parameters<FakeHost['run']>): ReturnType<FakeHost['run']> {
    this.#assertFree('run')
    return super.run(...args)
  }

  override background(...args: Parameters<FakeHost['background']>): ReturnType<FakeHost['background']> {
    this.#assertFree('background')
    return super.background(...args)
  }

  /** Ends the thread during its task, or between two tasks. */
  die(): void {
    this.#conditions.died(this.pool, this.task === undefined ? [] : this.xs)
    this.#thaw = undefined
    this.#events.happened(`${this.#name} dies`)
    this.exit()
  }

  get #name(): string {
    return `a replica of pool ${this.pool.id} (${this.pool.model}@${this.pool.version})`
  }

  #assertFree(what: string): void {
    if (this.task !== undefined) this.#events.violated(`${this.#name} got a ${what} inside of another task`)
    if (this.isGone || this.isTerminated) this.#events.violated(`${this.#name} got a ${what} after its end`)
  }

  #begin(task: FakeTask): void {
    const { message } = task
    this.#events.happened(`pool ${this.pool.id} begins ${message.kind}`)
    if (message.kind === 'release')
      this.#after(task, this.#conditions.briefMs(), () => task.reply({ ok: true }))
    else if (message.kind === 'load') this.#load(task)
    else if (message.kind === 'background') this.#work(task, message)
    else this.#runPack(task as FakeTask<RunTask>)
  }

  #load(task: FakeTask): void {
    const fate = this.#conditions.loads.next()
    if (fate !== 'loads') this.#conditions.spoilt(this.pool)
    this.#end(task, fate, this.#conditions.loadMs(), () => {
      if (fate === 'fails') task.fail(new errors.ERR_MODEL_LOAD('the file is damaged'))
      else task.reply({ ok: true, signature: this.pool.signature })
    })
  }

  /** Runs the pack; a fate that ends the thread or makes it hang applies in a random run. */
  #runPack(task: FakeTask<RunTask>): void {
    const { runs, buffer } = task.message
    if (this.#conditions.loses('answer')) return
    const fate = this.#conditions.runs.next()
    const times = runs.map(() => this.#conditions.runMs())
    const last = fate === 'dies' || fate === 'hangs' ? this.#conditions.below(runs.length) : runs.length - 1
    const xs = valuesOf(task.message)
    this.#conditions.began(this.pool, xs.flat(), fate)
    this.progress = last
    const ms = times.slice(0, last + 1).reduce((sum, each) => sum + each, 0)
    this.#end(task, fate, ms, () => {
      this.progress = runs.length - 1
      const results = runs.map((shape, index) =>
        this.#resultOf(shape, xs[index] as number[], fate, times[index] as number),
      )
      this.#proofs = Math.max(this.#proofs, 3)
      task.reply({ ok: true, buffer, results, hasBackgroundWork: this.pool.signature === BATCHED })
    })
  }

  #resultOf({ rows, keep }: RunShape, xs: number[], fate: RunFate, ms: number): RunResult {
    if (fate === 'fails') return { ok: false, error: encodeError(new errors.ERR_INFERENCE('the run failed')) }
    const answers = xs.map((x) => ({ dims: [[1]], data: [this.#conditions.answer(x, this.pool).buffer] }))
    if (rows === undefined) return { answer: answers[0] as (typeof answers)[0], ms }
    const trial = typeof keep === 'object' ? { trial: { isTelling: true, reason: undefined } } : {}
    return { answers, ms, fault: undefined, ...trial }
  }

  /** Completes the batch proof in three steps. */
  #work(task: FakeTask, { prove }: BackgroundTask): void {
    if (prove !== undefined) this.#proofs = 3
    this.#after(task, this.#conditions.briefMs(), () => {
      this.#proofs -= 1
      const isOver = this.#proofs === 0
      const done: BackgroundDone = {
        ok: true,
        hasBackgroundWork: this.#proofs > 0,
        proof: isOver ? PROVEN : undefined,
        trial: undefined,
        checks: 0,
        fault: undefined,
      }
      task.reply(done)
    })
  }

  #end(task: FakeTask, fate: LoadFate | RunFate, ms: number, reply: () => void): void {
    if (fate === 'hangs') {
      this.#events.happened(`pool ${this.pool.id} hangs`)
      this.#thaw = () => {
        this.#thaw = undefined
        if (this.task === task) reply()
      }
    } else {
      this.#after(task, ms, fate === 'dies' ? () => this.die() : reply)
    }
  }

  /** Calls `end` after `ms` unless the thread has died meanwhile. */
  #after(task: FakeTask, ms: number, end: () => void): void {
    this.#conditions.later(ms, () => {
      if (this.task === task) end()
    })
  }
}

const PROVEN: BackgroundDone['proof'] = {
  state: 'proven',
  plan: { inputs: [0], outputs: [0], padding: undefined },
  maxRows: 8,
  costs: [
    { rows: 1, ms: 2 },
    { rows: 8, ms: 4 },
  ],
  sample: [{ type: 'float32', dims: [1], data: new Float32Array(0) }],
  paddingRefusal: undefined,
}

/** Returns the `x` of every request, for each run. */
function valuesOf(task: RunTask): number[][] {
  return inputsOf(ALONE, task).map(([x]) => Array.from(x?.data as Float32Array))
}
