import { errors } from '../errors.js'
import { signatureProblems } from '../tensors/same-signature.js'
import { bringUp } from './bring-up.js'
import type { ModelEntry } from './catalogue.js'
import type { ModelVersion } from './model-version.js'
import { promote, retire } from './promotion.js'
import { assertOpen, type Serving } from './serving.js'
import { SwapTicket } from './swap-ticket.js'
import type { DrainReport } from './take-down.js'

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
 * Loads `newVersion` beside the active one, checks it, flips, drains the old one. Until
 * the flip a failure leaves everything as it was. A later swap of the same model
 * supersedes this one as long as it is not promoted.
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
    const wasReady = next.machine.is('ready')
    if (!wasReady) await bringUp(serving, next, order.trigger)
    try {
      check()
      checkSignature(entry, next)
    } catch (error) {
      // What was ready before stays so; what was loaded for this swap is not needed.
      if (!wasReady) void retire(serving, entry, next, 'swap not promoted')
      throw error
    }
    const from = entry.active?.spec.version
    const drained = promote(serving, entry, next, order.trigger)
    return { name: entry.name, from, to: order.newVersion, drained }
  } finally {
    if (entry.ticket === ticket) entry.ticket = undefined
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

function checkSignature(entry: ModelEntry, next: ModelVersion): void {
  const from = entry.active?.signature
  if (from === undefined || next.signature === undefined) return
  const problems = signatureProblems(from, next.signature)
  if (problems.length === 0) return
  throw new errors.ERR_SIGNATURE_MISMATCH(
    `${entry.name}@${next.spec.version} cannot replace ${entry.active?.spec.version}: ${problems.join('; ')}`,
    next.subject,
  )
}
