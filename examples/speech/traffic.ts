import { setImmediate } from 'node:timers/promises'
import { isRuntimeError, type Runtime, type Tensor } from 'tbcoin-engine'
import type { Answer, Kept } from './judge.js'
import { Phases } from './phases.js'

/** A prime, so that it is not always the same streams whose answers are kept. */
const KEEP_EVERY = 37
/** After a promotion, and all that are under way then, in addition. */
const KEEP_AFTER_PROMOTION = 64

interface Pending {
  isKept: boolean
}

/** Every request of the run goes through here and is counted. */
export class Traffic {
  readonly phases = new Phases()
  /** Set when the streams are to stop. */
  isOver = false
  submitted = 0
  answered = 0
  /** Rejected requests by error code. */
  readonly rejected = new Map<string, number>()
  readonly kept: Kept[] = []
  readonly #runtime: Runtime
  readonly #model: string
  readonly #pending = new Set<Pending>()
  #active: string
  #keepNext = 0
  #milestones: { count: number; resolve: () => void }[] = []

  constructor(runtime: Runtime, model: string, active: string) {
    this.#runtime = runtime
    this.#model = model
    this.#active = active
    // Emitted in the same tick as the flip: what is asked before belongs to the old version, the rest to the new.
    runtime.on('promoted', ({ model: promoted, to }) => {
      if (promoted === model) this.#promoted(to)
    })
  }

  get active(): string {
    return this.#active
  }

  get settled(): number {
    return this.submitted - this.#pending.size
  }

  /** Asks the active version, or `version`; undefined if the request was rejected. */
  async ask(input: Float32Array, state: Float32Array, version?: string): Promise<Answer | undefined> {
    this.submitted += 1
    const expected = version ?? this.#active
    const pending = { isKept: this.submitted % KEEP_EVERY === 0 || this.#keepNext > 0 }
    if (this.#keepNext > 0) this.#keepNext -= 1
    const startedIn = this.phases.current
    const startedAt = performance.now()
    this.#pending.add(pending)
    try {
      const outputs = await this.#runtime.predict(
        this.#model,
        { input, state: { type: 'float32', dims: [2, 1, 128], data: state }, sr: 16_000n },
        version === undefined ? undefined : { version },
      )
      const { output, stateN } = outputs as { output: Tensor<'float32'>; stateN: Tensor<'float32'> }
      const answer = { probability: output.data[0] as number, state: stateN.data }
      this.answered += 1
      this.phases.record(startedIn, performance.now() - startedAt)
      if (pending.isKept) this.kept.push(copyOf({ input, state, answer, expected }))
      return answer
    } catch (error) {
      const code = isRuntimeError(error) ? error.code : String(error)
      this.rejected.set(code, (this.rejected.get(code) ?? 0) + 1)
      // Else a stream that is always refused would keep the event loop to itself.
      await setImmediate()
      return undefined
    } finally {
      this.#pending.delete(pending)
      this.#pass()
    }
  }

  /** Resolves when so many requests have settled. */
  reached(count: number): Promise<void> {
    if (this.settled >= count) return Promise.resolve()
    return new Promise((resolve) => {
      this.#milestones.push({ count, resolve })
    })
  }

  #pass(): void {
    if (this.#milestones.length === 0) return
    for (const { count, resolve } of this.#milestones) if (this.settled >= count) resolve()
    this.#milestones = this.#milestones.filter(({ count }) => this.settled < count)
  }

  #promoted(version: string): void {
    this.#active = version
    for (const pending of this.#pending) pending.isKept = true
    this.#keepNext = KEEP_AFTER_PROMOTION
  }
}

/** States are copied: a view may hold on to the buffer of many answers. Windows are shared and never change. */
function copyOf({ input, state, answer, expected }: Kept): Kept {
  const { probability, state: next } = answer
  return { input, state: state.slice(), answer: { probability, state: next.slice() }, expected }
}
