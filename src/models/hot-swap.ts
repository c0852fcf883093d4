import { errors } from '../errors.js'
import { modelSubject } from '../telemetry/subject.js'
import { signatureProblems } from '../tensors/same-signature.js'
import { bringUp, loadError } from './bring-up.js'
import type { ModelEntry } from './catalogue.js'
import type { ModelVersion } from './model-version.js'
import { promote, retire } from './promotion.js'
import { assertOpen, inBackground, type Serving } from './serving.js'
import { SwapTicket } from './swap-ticket.js'
import { type DrainReport, drainTimeoutOf, takeDown } from './take-down.js'

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
  /** What asked for it. */
  readonly trigger: string
  /** The version to swap in, known or made known now. */
  find(): Promise<ModelVersion>
}

/**
 * Loads `newVersion` beside the active one, checks it, waits until as many replicas of it serve as of
 * the active one, flips, drains the old one. Until the flip a failure leaves everything as it was. A
 * later swap of the same model supersedes this one as long as it is not promoted.
 */
export function hotSwap(serving: Serving, entry: ModelEntry, order: SwapOrder): Promise<SwapResult> {
  const ticket = new SwapTicket(entry.name, order.newVersion)
  entry.ticket?.supersede(order.newVersion)
  entry.ticket = ticket
  const work = entry.lane.add(() => perform(serving, entry, order, ticket))
  return Promise.race([work, ticket.superseded])
}

async function perform(
  serving: Serving,
  entry: ModelEntry,
  order: SwapOrder,
  ticket: SwapTicket,
): Promise<SwapResult> {
  // A version that has failed can be swapped for itself, loaded anew.
  const isReload = entry.active?.spec.version === order.newVersion && entry.active.machine.is('error')
  const check = (): void => {
    ticket.check()
    assertOpen(serving)
    checkActive(entry, order, isReload)
  }
  try {
    check()
    const next = await order.find()
    check()
    if (isDrainedFirst(serving, entry, next)) {
      ticket.decide()
      return await swapInPlace(serving, entry, next, order)
    }
    const wasReady = next.machine.is('ready')
    if (!wasReady) await bringUp(serving, next, order.trigger)
    try {
      check()
      if (entry.active !== undefined) checkSignatures(entry.active, next)
      await Promise.race([enoughReplicas(serving, entry.active, next), ticket.superseded])
      check()
      if (!next.machine.is('ready'))
        throw loadError(next, next.machine.cause ?? new Error('it was stopped meanwhile'))
    } catch (error) {
      // What was ready before stays so; what was loaded for this swap is not needed.
      if (!wasReady) {
        inBackground(serving, retire(serving, entry, next, 'swap not promoted'), 'the end of a swap')
      }
      throw error
    }
    // Before a listener hears of the promotion, who may ask for the next swap.
    ticket.decide()
    const from = entry.active?.spec.version
    const drained = promote(serving, entry, next, order.trigger)
    return { name: entry.name, from, to: order.newVersion, drained }
  } finally {
    if (entry.ticket === ticket) entry.ticket = undefined
  }
}

/** Waits until as many replicas serve as those of the active version, or as many as there are to be. */
async function enoughReplicas(
  serving: Serving,
  active: ModelVersion | undefined,
  next: ModelVersion,
): Promise<void> {
  const { pool } = next
  const count = active?.machine.is('running') ? (active.pool?.servingCount ?? 0) : 0
  await pool?.whenServing(count).catch((error) => {
    assertOpen(serving)
    throw loadError(next, error)
  })
}

/** Whether there shall never be room for both; what is ready has its room already. */
function isDrainedFirst(serving: Serving, { active }: ModelEntry, next: ModelVersion): boolean {
  if (active === undefined || active === next || next.machine.is('ready')) return false
  return (next.spec.config.swapStrategy ?? serving.config.swapStrategy) === 'resource-preserving'
}

/**
 * Ends the old version before the new one is loaded. New requests are the new one's from the beginning:
 * they wait for its load. If that fails the old one is loaded again. What supersedes it comes after it,
 * since there is nothing to go back to meanwhile.
 */
async function swapInPlace(
  serving: Serving,
  entry: ModelEntry,
  next: ModelVersion,
  { trigger, newVersion }: SwapOrder,
): Promise<SwapResult> {
  const old = entry.active as ModelVersion
  const { previous } = entry
  serving.logger.info({ ...next.subject, from: old.spec.version }, 'the old version is drained first')
  const drained = await vacate(serving, entry, old, next, trigger)
  try {
    await bringUp(serving, next, trigger)
    assertOpen(serving)
    checkSignatures(old, next)
    next.run(trigger)
    serving.events.publish('promoted', { subject: modelSubject(next.subject), from: old.spec.version })
    return { name: entry.name, from: old.spec.version, to: newVersion, drained: Promise.resolve(drained) }
  } catch (error) {
    entry.active = old
    entry.previous = previous
    // They would load it once more, beside the old one.
    if (next.warming !== undefined) next.refusal = error
    if (next.machine.is('ready')) await retire(serving, entry, next, 'swap not promoted')
    if (serving.isOpen && old.isCold) await serveAgain(serving, old, trigger)
    throw error
  }
}

/** Makes `next` what requests go to, and waits until nothing is left of the old version. */
async function vacate(
  serving: Serving,
  entry: ModelEntry,
  old: ModelVersion,
  next: ModelVersion,
  trigger: string,
): Promise<DrainReport | undefined> {
  const isServing = old.machine.is('ready', 'running')
  serving.clock.clear(old.standbyTimer)
  if (isServing) old.machine.to('stopping', trigger)
  entry.active = next
  entry.previous = old.spec.version
  if (isServing) return takeDown(serving, old, trigger, drainTimeoutOf(serving, old))
  if (old.machine.is('stopping')) await old.machine.waitFor('stopped')
  return undefined
}

/** What the next request would do; a failure is told then. */
async function serveAgain(serving: Serving, old: ModelVersion, trigger: string): Promise<void> {
  try {
    await bringUp(serving, old, trigger)
    assertOpen(serving)
    old.run(trigger)
  } catch (err) {
    if (!serving.isOpen) return
    serving.logger.error({ err, ...old.subject }, 'the old version cannot be loaded again')
  }
}

function checkActive(entry: ModelEntry, { newVersion, oldVersion }: SwapOrder, isReload: boolean): void {
  const { active, name: model } = entry
  const label = active?.spec.version
  if (label === newVersion && !isReload) {
    throw new errors.ERR_ALREADY_ACTIVE(`${model}@${newVersion} is the active version already`, {
      model,
      version: newVersion,
    })
  }
  if (oldVersion !== undefined && label !== oldVersion) {
    throw new errors.ERR_VERSION_CONFLICT(
      `${model} was expected to serve version ${oldVersion}, but ${label ?? 'none'} is active`,
      { model, version: newVersion },
    )
  }
}

/** @throws ERR_SIGNATURE_MISMATCH if `next` does not accept what `from` accepts. */
function checkSignatures(from: ModelVersion, next: ModelVersion): void {
  if (from.signature === undefined || next.signature === undefined) return
  const problems = signatureProblems(from.signature, next.signature)
  if (problems.length === 0) return
  throw new errors.ERR_SIGNATURE_MISMATCH(
    `${next.spec.name}@${next.spec.version} cannot replace ${from.spec.version}: ${problems.join('; ')}`,
    next.subject,
  )
}
