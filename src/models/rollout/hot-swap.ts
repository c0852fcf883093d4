import { errors } from '../../errors/errors.js'
import { inBackground } from '../../telemetry/in-background.js'
import { signatureProblems } from '../../tensors/signature-problems.js'
import { assertOpen, closedError, type ModelContext } from '../context/model-context.js'
import { loadError } from '../loading/load-error.js'
import type { Model } from '../registry/model.js'
import { promoted, type Routes } from '../registry/routes.js'
import { SwapTicket } from '../registry/swap-ticket.js'
import type { DrainReport } from '../version/drain.js'
import type { ModelVersion } from '../version/model-version.js'
import {
  planSwap,
  planSwapUndo,
  type SwapRefusal,
  type SwapSnapshot,
  type SwapStep,
  type SwapUndo,
} from './plan-swap.js'
import { promote, retire } from './promotion.js'

/** The result of a swap. */
export interface SwapResult {
  /** Name of the model. */
  readonly name: string
  /** Label of the version that was active before; undefined if there was none. */
  readonly from: string | undefined
  /** Label of the version that is active now. */
  readonly to: string
  /**
   * Resolves when the old version has no requests left and, unless it is on standby, its threads have ended and its
   * memory is released. Never rejects. The value is undefined if there was nothing to drain or it is on standby.
   */
  readonly drained: Promise<DrainReport | undefined>
}

/** The parameters of a swap. */
export interface SwapOrder {
  readonly newVersion: string
  /** The version that must be active at the start and at the flip, else ERR_VERSION_CONFLICT; undefined allows any. */
  readonly oldVersion?: string | undefined
  /** The API method that started the swap. */
  readonly trigger: string
  /** Resolves with the version to swap in, which it registers if necessary. */
  find(): Promise<ModelVersion>
}

/**
 * Moves the requests of a model to `newVersion` by the steps of `planSwap`. A failure before the flip leaves
 * everything as it was. A later swap of the same model supersedes this one until the flip.
 */
export function hotSwap(context: ModelContext, model: Model, order: SwapOrder): Promise<SwapResult> {
  const ticket = new SwapTicket(model.name, order.newVersion)
  model.beginSwap(ticket)
  const work = model.lane.run(() => new HotSwap(context, model, order, ticket).perform())
  return Promise.race([work, ticket.superseded])
}

/** Performs the steps of one swap in the lane of the model, and undoes them if one fails. */
class HotSwap {
  readonly #context: ModelContext
  readonly #model: Model
  readonly #order: SwapOrder
  readonly #ticket: SwapTicket
  readonly #isReload: boolean
  readonly #begun = new Set<SwapStep>()
  #next: ModelVersion | undefined
  /** The routes before the swap changes them. */
  #before: Routes
  #drained: Promise<DrainReport | undefined> | undefined

  constructor(context: ModelContext, model: Model, order: SwapOrder, ticket: SwapTicket) {
    this.#context = context
    this.#model = model
    this.#order = order
    this.#ticket = ticket
    this.#before = model.routes
    const { active } = model.routes
    this.#isReload = active?.spec.version === order.newVersion && active.is('error')
  }

  async perform(): Promise<SwapResult> {
    try {
      for (;;) {
        const action = planSwap(this.#snapshot())
        if ('refusal' in action) throw this.#errorOf(action.refusal)
        this.#begun.add(action.step)
        if (action.step === 'flip') return this.#flip()
        await this.#step(action.step)
      }
    } catch (error) {
      await this.#undo(error)
      throw error
    } finally {
      this.#model.endSwap(this.#ticket)
    }
  }

  #snapshot(): SwapSnapshot {
    const { config, closing } = this.#context
    const { newVersion, oldVersion } = this.#order
    return {
      isClosing: closing.aborted,
      isSuperseded: this.#ticket.error !== undefined,
      newVersion,
      expected: oldVersion,
      active: this.#model.routes.active?.spec.version,
      isReload: this.#isReload,
      next: this.#next?.state,
      strategy: this.#next?.spec.config.swapStrategy ?? config.swapStrategy,
      begun: this.#begun,
    }
  }

  async #step(step: Exclude<SwapStep, 'flip'>): Promise<void> {
    const next = this.#next as ModelVersion
    const { trigger } = this.#order
    switch (step) {
      case 'find':
        this.#next = await this.#order.find()
        this.#before = this.#model.routes
        break
      case 'vacate':
        await this.#vacate(next)
        break
      case 'load':
        await next.load(trigger)
        break
      case 'verify':
        checkSignatures(this.#before.active, next)
        break
      case 'await replicas':
        await Promise.race([this.#enoughReplicas(next), this.#ticket.superseded])
    }
  }

  /** Routes requests to `next`, and waits until the old version is stopped. */
  async #vacate(next: ModelVersion): Promise<void> {
    this.#ticket.decide()
    const { trigger } = this.#order
    const old = this.#before.active as ModelVersion
    const { subject } = next.record
    this.#context.logger.info(
      { ...subject, from: old.spec.version },
      'draining the old version before the swap',
    )
    const isServing = old.isServing
    if (isServing) old.demote(trigger)
    this.#model.route(promoted(this.#model.routes, next))
    if (isServing) this.#drained = old.drain(trigger)
    await this.#drained
    if (old.is('stopping')) await old.waitFor('stopped')
  }

  /** Waits until `next` has as many serving replicas as the active version, or all of its own. */
  async #enoughReplicas(next: ModelVersion): Promise<void> {
    const { active } = this.#before
    const count = active?.is('running') ? (active.pool?.servingCount ?? 0) : 0
    await next.pool?.whenServing(count).catch((error) => {
      assertOpen(this.#context)
      throw loadError(next.record, error)
    })
  }

  #flip(): SwapResult {
    // A listener of the promotion may start the next swap, so this one must be decided first.
    this.#ticket.decide()
    const { newVersion, trigger } = this.#order
    const old = this.#before.active
    const drained = promote(this.#context, this.#model, this.#next as ModelVersion, trigger, old)
    return {
      name: this.#model.name,
      from: old?.spec.version,
      to: newVersion,
      drained: this.#drained ?? drained,
    }
  }

  async #undo(error: unknown): Promise<void> {
    const undone = new Set<SwapUndo>()
    const [next, old] = [this.#next, this.#before.active]
    for (;;) {
      const isClosing = this.#context.closing.aborted
      const begun = this.#begun
      const undo = planSwapUndo({ isClosing, next: next?.state, old: old?.state, begun, undone })
      if (undo === undefined) return
      undone.add(undo)
      if (undo === 'reload') await this.#restore(old as ModelVersion)
      else if (undo === 'retire') await this.#retire(next as ModelVersion)
      else {
        this.#model.route(this.#before)
        // Waiting requests would load the new version once more, beside the old one.
        next?.sharedLoad.refuse(error)
      }
    }
  }

  /** Retires the new version. The caller waits for that only if the old version needs its memory. */
  async #retire(next: ModelVersion): Promise<void> {
    const retired = retire(this.#model, next, 'swap not promoted')
    if (this.#begun.has('vacate')) await retired
    else inBackground(this.#context, retired, 'retirement after a failed swap')
  }

  /** Loads the old version again, as the next request would do. A failure is logged. */
  async #restore(old: ModelVersion): Promise<void> {
    const { closing, logger } = this.#context
    try {
      await old.load(this.#order.trigger)
      assertOpen(this.#context)
      old.promote(this.#order.trigger)
    } catch (err) {
      if (closing.aborted) return
      logger.error({ err, ...old.record.subject }, 'old version not restored after a failed swap')
    }
  }

  #errorOf(refusal: SwapRefusal): Error {
    const { newVersion: version, oldVersion } = this.#order
    const { name: model, routes } = this.#model
    const subject = { model, version }
    switch (refusal) {
      case 'superseded':
        return this.#ticket.error as Error
      case 'closing':
        return closedError()
      case 'already active':
        return new errors.ERR_ALREADY_ACTIVE(`${model}@${version} is already the active version`, subject)
      case 'version conflict':
        return new errors.ERR_VERSION_CONFLICT(
          `${model} was expected to serve version ${oldVersion}, but ${routes.active?.spec.version ?? 'none'} is active`,
          subject,
        )
      case 'stopped meanwhile': {
        const { record, cause } = this.#next as ModelVersion
        return loadError(record, cause ?? new Error('it was stopped during the swap'))
      }
    }
  }
}

/** Throws if `next` does not accept all inputs that `from` accepts. @throws ERR_SIGNATURE_MISMATCH */
function checkSignatures(from: ModelVersion | undefined, { record }: ModelVersion): void {
  const [oldSignature, newSignature] = [from?.record.facts.signature, record.facts.signature]
  if (from === undefined || oldSignature === undefined || newSignature === undefined) return
  const problems = signatureProblems(oldSignature, newSignature)
  if (problems.length === 0) return
  throw new errors.ERR_SIGNATURE_MISMATCH(
    `${record.label} cannot replace ${from.spec.version}: ${problems.join('; ')}`,
    record.subject,
  )
}
