import { errors } from '../../errors/errors.js'
import { inBackground } from '../../telemetry/in-background.js'
import { assertOpen, type ModelContext } from '../context/model-context.js'
import type { Model } from '../registry/model.js'
import type { ModelRegistry } from '../registry/model-registry.js'
import type { ModelVersion } from '../version/model-version.js'
import { type LoadFailure, planAfterColdStart, planColdStart, planReload } from './plan-cold-start.js'
import { retireInTurn } from './promotion.js'

/** Loads cold versions on demand, for requests. */
export class ColdStarts {
  readonly #context: ModelContext
  readonly #registry: ModelRegistry

  constructor(context: ModelContext, registry: ModelRegistry) {
    this.#context = context
    this.#registry = registry
  }

  /**
   * Loads the version; all waiting requests share one load.
   * @param isPlain is true if the request did not name the version. Such a version still runs the requests that wait
   * for it if another one becomes active meanwhile, and is retired then.
   * @throws ERR_MODEL_UNAVAILABLE and the errors of a load
   */
  warm(version: ModelVersion, isPlain: boolean): Promise<void> {
    const action = planReload(version.state, this.#failureOf(version))
    if (action.kind === 'refuse') return Promise.reject(unavailable(version, action.reason))
    return version.sharedLoad.join(() =>
      this.#context.scope.runInAsyncScope(() => this.#loadInLane(version, isPlain)),
    )
  }

  /** Returns the version that is known now under the label of `version`, if its source is the same; else `version`. */
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
    // The refusal applies to requests of this version only, not to those of a successor.
    const refusal = isKnown && !hasSuccessor ? version.sharedLoad.takeRefusal() : undefined
    const action = planColdStart({
      state: version.state,
      isKnown,
      hasSuccessor,
      isRefused: refusal !== undefined,
      failure: this.#failureOf(version),
    })
    if (action.kind === 'serve') return
    if (action.kind === 'refuse') throw unavailable(version, action.reason, refusal ?? failure)
    await version.load('predict')
    assertOpen(this.#context)
    const next = planAfterColdStart(model.routes.active === version, isPlain)
    if (next === 'promote') version.promote('predict')
    if (next === 'retire') this.#retireSoon(model, version)
  }

  /** Retires the version in a later turn of the event loop; the waiting requests are admitted in microtasks before. */
  #retireSoon(model: Model, version: ModelVersion): void {
    this.#context.clock.setImmediate(() =>
      inBackground(
        this.#context,
        retireInTurn(model, version, 'no longer active'),
        'retirement after a cold start',
      ),
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

function unavailable(version: ModelVersion, reason: string, cause = version.cause): Error {
  const detail = cause instanceof Error ? `: ${cause.message}` : ''
  return new errors.ERR_MODEL_UNAVAILABLE(`${version.record.label} cannot run requests: ${reason}${detail}`, {
    ...version.record.subject,
    cause,
  })
}
