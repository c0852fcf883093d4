import { illegalTransition, type Transitions } from '../../state/transitions.js'

/** State of a pool, which is single-use. `failed`: its crash budget is spent. */
export type PoolState = 'created' | 'open' | 'draining' | 'failed' | 'stopped'

export const POOL_TRANSITIONS: Transitions<PoolState> = {
  created: ['open', 'draining', 'failed', 'stopped'],
  open: ['draining', 'failed', 'stopped'],
  draining: ['failed', 'stopped'],
  failed: ['stopped'],
  stopped: [],
}

/** The state of a pool, shared by the pool, its replicas and its dispatcher. Only the pool changes it. */
export class PoolLife {
  readonly #pool: string
  #state: PoolState = 'created'
  #refusal: Error | undefined
  #onStopped: () => void = () => undefined
  /** Resolves when the pool is stopped. */
  readonly stopped = new Promise<void>((resolve) => {
    this.#onStopped = resolve
  })

  /** @param pool the name of the pool in errors */
  constructor(pool: string) {
    this.#pool = pool
  }

  get state(): PoolState {
    return this.#state
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isStopped(): boolean {
    return this.#state === 'stopped'
  }

  /** True once no replica is started any more. */
  get isOver(): boolean {
    return this.#state === 'failed' || this.#state === 'stopped'
  }

  /** The error of requests that no replica will run; undefined until the pool is over. */
  get refusal(): Error | undefined {
    return this.#refusal
  }

  /** Moves to `open`: requests are admitted. */
  open(): void {
    this.#to('open')
  }

  /** Moves to `draining`: no more requests are admitted, and admitted ones are completed. */
  drain(): void {
    this.#to('draining')
  }

  /** Moves to `failed`: requests that no replica runs are rejected with `refusal`. */
  fail(refusal: Error): void {
    this.#to('failed')
    this.#refusal = refusal
  }

  /** Moves to `stopped`: every request is rejected with `refusal`. */
  stop(refusal: Error): void {
    this.#to('stopped')
    this.#refusal = refusal
    this.#onStopped()
  }

  #to(next: PoolState): void {
    const from = this.#state
    if (!POOL_TRANSITIONS[from].includes(next)) {
      throw illegalTransition(POOL_TRANSITIONS, `the pool of ${this.#pool}`, from, next)
    }
    this.#state = next
  }
}
