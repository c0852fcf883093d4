import { modelSubject } from '../telemetry/subject.js'
import type { ModelEntry } from './catalogue.js'
import type { ModelVersion } from './model-version.js'
import { inBackground, type Serving } from './serving.js'
import { type DrainReport, drainTimeoutOf, takeDown } from './take-down.js'

/**
 * The atomic flip: `next`, which is ready, becomes the active version in one assignment.
 * `stopping` of the old one is announced before that, `running` of the new one after it.
 * Resolves when the old version has no request left and, unless it stays on standby, no
 * threads either.
 */
export function promote(
  serving: Serving,
  entry: ModelEntry,
  next: ModelVersion,
  trigger: string,
): Promise<DrainReport | undefined> {
  const old = entry.active
  const isOldServing = old !== undefined && old !== next && old.machine.is('running')
  const standbyMs = old === undefined ? 0 : (old.spec.config.standbyMs ?? serving.config.standbyMs)
  serving.clock.clear(next.standbyTimer)
  next.machine.to('starting', trigger)
  if (isOldServing) old.machine.to(standbyMs > 0 ? 'ready' : 'stopping', trigger)
  if (isOldServing && old.pool !== undefined) next.pool?.follow(old.pool)
  entry.active = next
  if (old !== undefined && old !== next) entry.previous = old.spec.version
  next.machine.to('running', trigger)
  serving.events.publish('promoted', { subject: modelSubject(next.subject), from: old?.spec.version })
  if (!isOldServing) return old?.machine.is('stopping') ? settled(old) : Promise.resolve(undefined)
  if (standbyMs === 0) return takeDown(serving, old, trigger, drainTimeoutOf(serving, old))
  keepOnStandby(serving, entry, old, standbyMs)
  return old.pool?.empty().then(() => undefined) ?? Promise.resolve(undefined)
}

/** An old version that was being evicted already. */
async function settled(old: ModelVersion): Promise<undefined> {
  await old.machine.waitFor('stopped')
}

function keepOnStandby(serving: Serving, entry: ModelEntry, old: ModelVersion, standbyMs: number): void {
  old.standbyTimer = serving.clock.setTimeout(() => {
    inBackground(serving, retire(serving, entry, old, 'standby is over'), 'the end of a standby')
  }, standbyMs)
  old.standbyTimer.unref()
}

/** Stops a version that nobody needs any more, unless it has become active; it stays known, cold. */
export async function retire(
  serving: Serving,
  entry: ModelEntry,
  version: ModelVersion,
  trigger: string,
): Promise<DrainReport | undefined> {
  serving.clock.clear(version.standbyTimer)
  if (entry.active === version || !version.machine.is('ready')) return undefined
  version.machine.to('stopping', trigger)
  return takeDown(serving, version, trigger, drainTimeoutOf(serving, version))
}
