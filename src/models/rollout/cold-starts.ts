import { errors } from '../../errors/errors.js'
import { inBackground } from '../../telemetry/in-background.js'
import { assertOpen, type ModelContext } from '../context/model-context.js'
import type { Model } from '../registry/model.js'
import type { ModelRegistry } from '../registry/model-registry.js'
import type { ModelVersion } from '../version/model-version.js'
import { type LoadFailure, planAfterColdStart, planColdStart, planReload } from './plan-cold-start.js'
import { retireInTurn } from './promotion.js'

/** Gives versions that requests have found without a pool one again. */
export class ColdStarts {
  readonly #context: ModelContext
  readonly #registry: ModelRegistry

  constructor(context: ModelContext, registry: ModelRegistry) {
    this.#context = context
    this.#registry = registry
  }

  /**
   * Loads the version; all requests that wait share the one load. `isPlain` tells that the caller did not name the
   * version: then it serves to the end even if another one has become active meanwhile, and is retired.
   * @throws ERR_MODEL_UNAVAILABLE and what a load throws.
   */
  warm(version: ModelVersion, isPlain: boolean): Promise<void> {
    const action = planReload(version.state, this.#failureOf(version))
    if (action.kind === 'refuse') return Promise.reject(unavailable(version, action.why))
    return version.sharedLoad.join(() =>
      this.#context.scope.runInAsyncScope(() => this.#loadInLane(version, isPlain)),
    )
  }

  /** The version of that label that is known now, if it is loaded from the same source; else the version itself. */
  successorOf(version: ModelVersion): ModelVersion {
    const { name, version: label, source } = version.spec
    const known = this.#registry.find(name, label)
    return known?.spec.source === source ? known : version
  }

  async #loadInLane(version: ModelVersion, isPlain: boolean): Promise<void> {
    const model = this.#registry.get(version.spec.name)
    if (model === undefined) throw unavailable(version, 'it was unloaded')
    await model.lane.run(() => this.#load(model, version, isPlain))
  }

  async #load(model: Model, version: ModelVersion, isPlain: boolean): Promise<void> {
    const { cause: failure } = version
    const hasSuccessor = this.successorOf(version) !== version
    const isKnown = model.find(version.spec.version) === version
    // A refusal is for the requests of this version, which a successor's are not.
    const refusal = isKnown && !hasSuccessor ? version.sharedLoad.takeRefusal() : undefined
    const action = planColdStart({
      state: version.state,
      isKnown,
      hasSuccessor,
      isRefused: refusal !== undefined,
      failure: this.#failureOf(version),
    })
    if (action.kind === 'serve') return
    if (action.kind === 'refuse') throw unavailable(version, action.why, refusal ?? failure)
    await version.load('predict')
    assertOpen(this.#context)
    const next = planAfterColdStart(model.routes.active === version, isPlain)
    if (next === 'promote') version.promote('predict')
    if (next === 'retire') this.#retireSoon(model, version)
  }

  /** After the waiting requests have been admitted, which happens in microtasks. */
  #retireSoon(model: Model, version: ModelVersion): void {
    this.#context.clock.setImmediate(() =>
      inBackground(this.#context, retireInTurn(model, version, 'no longer active'), 'the end of a version'),
    )
  }

  #failureOf({ failedAtMs, cause }: ModelVersion): LoadFailure {
    const { clock, config } = this.#context
    return {
      agoMs: failedAtMs === undefined ? undefined : clock.now() - failedAtMs,
      isCrashLoop: cause instanceof errors.ERR_CIRCUIT_OPEN,
      retryAfterMs: config.maxRestartBackoffMs,
    }
  }
}

function unavailable(version: ModelVersion, why: string, cause = version.cause): Error {
  const detail = cause instanceof Error ? `: ${cause.message}` : ''
  return new errors.ERR_MODEL_UNAVAILABLE(`${version.record.label} cannot answer, ${why}${detail}`, {
    ...version.record.subject,
    cause,
  })
}
