import { getEventListeners } from 'node:events'
import { ERROR_TABLE } from '../../src/errors/errors.js'
import type { Runtime } from '../../src/runtime.js'
import { yOf } from '../support/fake-host.js'
import { type Conditions, POOL_STRIDE } from './conditions.js'
import type { ActionOf, Settings } from './program.js'
import type { SimulatedClock } from './simulated-clock.js'
import type { SimulatedHost } from './simulated-host.js'

const NEVER_MS = Number.POSITIVE_INFINITY

type Predict = ActionOf<'predict'>

/** One call of `predict`. */
export interface Call {
  readonly x: number
  readonly model: string
  /** The version that was active when the request was made; undefined if there was none. */
  version: string | undefined
  readonly askedAtMs: number
  /** The number of open requests to that version at that time. */
  readonly openBefore: number
  readonly deadlineAtMs: number
  readonly controller: AbortController
  readonly signal: AbortSignal
  outcome: { readonly y?: number; readonly code?: string } | undefined
}

export interface Surroundings {
  readonly clock: SimulatedClock
  readonly conditions: Conditions
  readonly settings: Settings
  readonly hosts: readonly SimulatedHost[]
  /** Returns true once a shutdown has begun. */
  isClosing(): boolean
  violated(what: string): void
  happened(what: string): void
}

/** The callers of models, and the outcomes of their requests. */
export class Callers {
  readonly calls: Call[] = []
  readonly open = new Map<number, Call>()
  answered = 0
  rejected = 0
  readonly #runtime: Runtime
  readonly #world: Surroundings
  /** The call in progress until its request is admitted, and the version that it names. */
  #asking: { readonly call: Call; readonly wanted: string | undefined } | undefined

  constructor(runtime: Runtime, world: Surroundings) {
    this.#runtime = runtime
    this.#world = world
  }

  predict(action: Predict): void {
    for (let count = action.count ?? 1; count > 0; count -= 1) this.#ask(action)
  }

  /** Listeners were called for a request and may have changed the active version; it is admitted only now. */
  received(): void {
    if (this.#asking === undefined) return
    const { call, wanted } = this.#asking
    call.version = this.#runtime.models.getModel(call.model, wanted)?.version
  }

  isAwaited(xs: readonly number[]): boolean {
    return xs.some((x) => this.open.has(x))
  }

  abort(pick: number): void {
    const call = this.calls[pick % Math.max(1, this.calls.length)]
    call?.controller.abort()
  }

  /** Checks the promises that hold when no work is due. */
  check(): void {
    const { clock, violated } = this.#world
    for (const { x, deadlineAtMs, signal } of this.open.values()) {
      if (clock.isIdle && clock.now() > deadlineAtMs) violated(`request ${x} is open after its deadline`)
      if (signal.aborted) violated(`request ${x} is open although its signal has aborted`)
    }
  }

  /** Checks the promises that hold at the end. */
  checkEnd(): void {
    const { violated } = this.#world
    for (const { x } of this.open.values()) violated(`request ${x} never settled`)
    for (const { x, signal } of this.calls) {
      if (getEventListeners(signal, 'abort').length > 0)
        violated(`the signal of request ${x} still has a listener`)
    }
  }

  #ask({ model, version: wanted, timeoutMs, signalMs, priority, viaHandle }: Predict): void {
    const { clock } = this.#world
    const controller = new AbortController()
    const signal = signalMs === undefined ? controller.signal : AbortSignal.timeout(signalMs)
    const x = this.calls.length + 1
    const options = {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(priority !== undefined && { priority }),
      signal,
    }
    const input = { x: Float32Array.of(x) }
    const handle = this.#runtime.models.getModel(model, wanted)
    const call: Call = {
      x,
      model,
      version: handle?.version,
      askedAtMs: clock.now(),
      openBefore: this.#openOf(model, handle?.version),
      // A timer takes at least 1 ms.
      deadlineAtMs: clock.now() + Math.max(1, Math.min(timeoutMs ?? NEVER_MS, signalMs ?? NEVER_MS)),
      controller,
      signal,
      outcome: undefined,
    }
    this.calls.push(call)
    this.open.set(x, call)
    const before = this.#asking
    this.#asking = { call, wanted: (viaHandle ? handle?.version : undefined) ?? wanted }
    const promise =
      viaHandle && handle !== undefined
        ? handle.predict(input, options)
        : this.#runtime.predict(model, input, {
            ...options,
            ...(wanted !== undefined && { version: wanted }),
          })
    this.#asking = before
    promise.then(
      (outputs) => this.#settled(call, { y: yOf(outputs) }),
      (error) => this.#settled(call, { code: (error as { code?: string }).code ?? String(error) }),
    )
  }

  #settled(call: Call, outcome: NonNullable<Call['outcome']>): void {
    const { violated, happened } = this.#world
    const { x } = call
    if (call.outcome !== undefined) violated(`request ${x} settled twice`)
    call.outcome = outcome
    this.open.delete(x)
    happened(`request ${x}: ${outcome.code ?? outcome.y}`)
    if (outcome.code === undefined) {
      this.answered += 1
      this.#checkAnswer(call, outcome.y as number)
    } else {
      this.rejected += 1
      const why = this.#whyNot(call, outcome.code)
      if (why !== undefined)
        violated(`request ${x} to ${call.model}@${call.version} rejected with ${outcome.code}, ${why}`)
    }
  }

  #checkAnswer({ x, model, version }: Call, y: number): void {
    const id = (y - x) / POOL_STRIDE
    const pool = this.#world.hosts.find((host) => host.pool.id === id)?.pool
    if (pool?.model === model && pool.version === version) return
    this.#world.violated(
      `request ${x} to ${model}@${version} was answered with ${y}: by ${pool === undefined ? 'nobody' : `${pool.model}@${pool.version}`}`,
    )
  }

  /** Returns why a request must not be rejected with that code; undefined if it may. */
  #whyNot(call: Call, code: string): string | undefined {
    const { clock, conditions, settings, isClosing } = this.#world
    const { x, model, version, signal, askedAtMs, deadlineAtMs, openBefore } = call
    const nowMs = clock.now()
    if (!(code in ERROR_TABLE)) return 'which is not documented'
    const isKnown = version !== undefined
    const isSpoilt = conditions.spoiltModels.has(model)
    const reasons: Record<string, [isRight: boolean, why: string]> = {
      ERR_ABORTED: [call.controller.signal.aborted, 'but it was not aborted'],
      ERR_DEADLINE_EXCEEDED: [nowMs >= deadlineAtMs - 1 || signal.aborted, 'before its deadline'],
      ERR_INFERENCE: [conditions.failed.has(x), 'but none of its runs has failed'],
      ERR_REPLICA_EXITED: [conditions.lost.has(x), 'but no thread has died in its run'],
      ERR_REPLICA_STUCK: [conditions.hung.has(x), 'but none of its runs hangs'],
      ERR_CIRCUIT_OPEN: [isSpoilt, 'but no thread of the model has died'],
      ERR_MODEL_LOAD: [isSpoilt, 'but no load of the model has failed'],
      ERR_INSUFFICIENT_MEMORY: [(settings.rooms ?? 0) > 0, 'but there is no budget'],
      ERR_RUNTIME_CLOSED: [isClosing(), 'but the runtime is open'],
      ERR_DRAIN_TIMEOUT: [
        nowMs - askedAtMs >= (settings.drainTimeoutMs ?? 0),
        'before a drain could take so long',
      ],
      ERR_OVERLOADED: [
        Math.max(openBefore, this.#openOf(model, version)) >= (settings.maxQueue ?? 0),
        'but its queue is not full',
      ],
      ERR_MODEL_NOT_FOUND: [!isKnown, 'but the model is known'],
      ERR_VERSION_NOT_FOUND: [!isKnown, 'but the version is known'],
      ERR_MODEL_UNAVAILABLE: [
        !isKnown || isSpoilt || (settings.rooms ?? 0) > 0,
        'although nothing has happened to its model',
      ],
    }
    const [isRight, why] = reasons[code] ?? [false, 'which is no answer to a request']
    return isRight ? undefined : why
  }

  #openOf(model: string, version: string | undefined): number {
    let count = 0
    for (const other of this.open.values()) if (other.model === model && other.version === version) count += 1
    return count
  }
}
