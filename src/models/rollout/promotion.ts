import { modelSubject } from '../../telemetry/events/subject.js'
import { inBackground } from '../../telemetry/in-background.js'
import type { ModelContext } from '../context/model-context.js'
import type { Model } from '../registry/model.js'
import { promoted } from '../registry/routes.js'
import type { DrainReport } from '../version/drain.js'
import type { ModelVersion } from '../version/model-version.js'

/**
 * Performs the atomic flip: one assignment routes the requests of the model to `next`, which is ready. Listeners see
 * the old version leave `running` before it, and `next` enter `running` after it. Resolves when the old version has
 * no requests left and, unless it stays on standby, no threads either.
 * @param old is the version that `next` replaces; it defaults to the active one.
 */
export function promote(
  context: ModelContext,
  model: Model,
  next: ModelVersion,
  trigger: string,
  old = model.routes.active,
): Promise<DrainReport | undefined> {
  const isOldServing = old !== undefined && old !== next && old.is('running')
  const standbyMs = old?.spec.config.standbyMs ?? context.config.standbyMs
  next.promote(trigger, () => {
    if (isOldServing) {
      old.demote(trigger, standbyMs, () =>
        inBackground(context, retireInTurn(model, old, 'standby is over'), 'retirement after standby'),
      )
      if (old.pool !== undefined) next.pool?.follow(old.pool)
    }
    model.route(promoted(model.routes, next))
  })
  const subject = modelSubject(next.record.subject)
  context.events.publish('promoted', { subject, from: old?.spec.version })
  if (isOldServing) return standbyMs === 0 ? old.drain(trigger) : whenEmpty(old)
  // The old version may be stopping already because of an eviction.
  return old?.is('stopping') ? old.waitFor('stopped').then(() => undefined) : Promise.resolve(undefined)
}

async function whenEmpty({ pool }: ModelVersion): Promise<undefined> {
  await pool?.whenEmpty()
}

/**
 * Stops a version that gets no more requests, unless it has become active or is not ready. It stays known, cold. Call
 * it in the lane of its model.
 */
export async function retire(
  model: Model,
  version: ModelVersion,
  trigger: string,
): Promise<DrainReport | undefined> {
  if (model.routes.active === version || !version.is('ready')) return undefined
  return version.drain(trigger)
}

/** Does the same in the lane of the model, and leaves the lane when no request of the version is left. */
export async function retireInTurn(model: Model, version: ModelVersion, trigger: string): Promise<void> {
  const { retired } = await model.lane.run(async () => {
    const retired = retire(model, version, trigger)
    await version.pool?.whenEmpty()
    return { retired }
  })
  await retired
}
