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

export interface SwapResult {
  readonly name: string
  /** The version that was active before, if there was one. */
  readonly from: string | undefined
  readonly to: string
  /**
   * Resolves when the old version has no request left and, unless it is on standby, its
   * threads and memory are gone. Never rejects; undefined if there was nothing to drain.
   */
  readonly drained: Promise<DrainReport | undefined>
}

export interface SwapOrder {
  readonly newVersion: string
  /** Refused with ERR_VERSION_CONFLICT unless this is active, at the start and at the flip. */
  readonly oldVersion?: string | undefined
  /** The call that asks for it. */
  readonly trigger: string
  /** The version to swap in, known or made known now. */
  find(): Promise<ModelVersion>
}

/**
 * Moves the requests of a model to `newVersion`, by the plan of `swap-plan.ts`. Until the flip a failure leaves
 * everything as it was. A later swap of the same model supersedes this one as long as it is not promoted.
 */
export function hotSwap(context: ModelContext, model: Model, order: SwapOrder): Promise<SwapResult> {
  const ticket = new SwapTicket(model.name, order.newVersion)
  model.beginSwap(ticket)
  const work = model.lane.run(() => new HotSwap(context, model, order, ticket).perform())
  return Promise.race([work, ticket.superseded])
}

/** One swap: performs the steps of the plan in the lane of the model, and takes them back if one fails. */
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

  /** Makes `next` what requests go to, and waits until nothing is left of the old version. */
  async #vacate(next: ModelVersion): Promise<void> {
    this.#ticket.decide()
    const { trigger } = this.#order
    const old = this.#before.active as ModelVersion
    const { subject } = next.record
    this.#context.logger.info({ ...subject, from: old.spec.version }, 'the old version is drained first')
    const isServing = old.isServing
    if (isServing) old.demote(trigger)
    this.#model.route(promoted(this.#model.routes, next))
    if (isServing) this.#drained = old.drain(trigger)
    await this.#drained
    if (old.is('stopping')) await old.waitFor('stopped')
  }

  /** Waits until as many replicas serve as those of the active version, or as many as there are to be. */
  async #enoughReplicas(next: ModelVersion): Promise<void> {
    const { active } = this.#before
    const count = active?.is('running') ? (active.pool?.servingCount ?? 0) : 0
    await next.pool?.whenServing(count).catch((error) => {
      assertOpen(this.#context)
      throw loadError(next.record, error)
    })
  }

  #flip(): SwapResult {
    // Before a listener hears of the promotion, who may ask for the next swap.
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
        // They would load it once more, beside the old one.
        next?.sharedLoad.refuse(error)
      }
    }
  }

  /** The caller waits for it only where the old version needs the room. */
  async #retire(next: ModelVersion): Promise<void> {
    const retired = retire(this.#model, next, 'swap not promoted')
    if (this.#begun.has('vacate')) await retired
    else inBackground(this.#context, retired, 'the end of a swap')
  }

  /** Does what the next request would do; a failure is logged then. */
  async #restore(old: ModelVersion): Promise<void> {
    const { closing, logger } = this.#context
    try {
      await old.load(this.#order.trigger)
      assertOpen(this.#context)
      old.promote(this.#order.trigger)
    } catch (err) {
      if (closing.aborted) return
      logger.error({ err, ...old.record.subject }, 'the old version cannot be loaded again')
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
        return new errors.ERR_ALREADY_ACTIVE(`${model}@${version} is the active version already`, subject)
      case 'version conflict':
        return new errors.ERR_VERSION_CONFLICT(
          `${model} was expected to serve version ${oldVersion}, but ${routes.active?.spec.version ?? 'none'} is active`,
          subject,
        )
      case 'stopped meanwhile': {
        const { record, cause } = this.#next as ModelVersion
        return loadError(record, cause ?? new Error('it was stopped meanwhile'))
      }
    }
  }
}

/** @throws ERR_SIGNATURE_MISMATCH if `next` does not accept what `from` accepts. */
function checkSignatures(from: ModelVersion | undefined, { record }: ModelVersion): void {
  const [before, after] = [from?.record.facts.signature, record.facts.signature]
  if (from === undefined || before === undefined || after === undefined) return
  const problems = signatureProblems(before, after)
  if (problems.length === 0) return
  throw new errors.ERR_SIGNATURE_MISMATCH(
    `${record.label} cannot replace ${from.spec.version}: ${problems.join('; ')}`,
    record.subject,
  )
}
