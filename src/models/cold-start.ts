import { errors } from '../errors.js'
import { bringUp } from './bring-up.js'
import type { ModelVersion } from './model-version.js'
import { retire } from './promotion.js'
import { assertOpen, inBackground, type Serving } from './serving.js'

/**
 * Gives a version that a request has found without a pool one again. All requests that
 * wait share the one load. `isPlain` tells that the caller did not name the version: then
 * it is served to the end even if another one has become active meanwhile, and retired.
 */
export function coldStart(serving: Serving, version: ModelVersion, isPlain: boolean): Promise<void> {
  if (version.machine.is('error') && !mayTryAgain(serving, version)) {
    return Promise.reject(unavailable(version, 'it is in error'))
  }
  version.warming ??= serving.scope
    .runInAsyncScope(() => inLane(serving, version, isPlain))
    .finally(() => {
      version.warming = undefined
    })
  return version.warming
}

async function inLane(serving: Serving, version: ModelVersion, isPlain: boolean): Promise<void> {
  const entry = serving.catalogue.get(version.spec.name)
  if (entry === undefined) throw unavailable(version, 'it was unloaded')
  await entry.lane.add(async () => {
    const { machine } = version
    // It was made known anew by a load, which came first: the request is the new one's.
    if (successorOf(serving, version) !== version) return
    if (entry.versions.get(version.spec.version) !== version) throw unavailable(version, 'it was unloaded')
    const { refusal } = version
    version.refusal = undefined
    if (refusal !== undefined) throw unavailable(version, 'the swap to it failed', refusal)
    if (machine.is('ready', 'running')) return
    if (machine.is('error') && !mayTryAgain(serving, version)) throw unavailable(version, 'it is in error')
    await bringUp(serving, version, 'predict')
    assertOpen(serving)
    if (entry.active === version) {
      version.run('predict')
    } else if (isPlain) {
      // After the waiting requests have been admitted, which happens in microtasks.
      serving.clock.setImmediate(() =>
        inBackground(serving, retire(serving, entry, version, 'no longer active'), 'the end of a version'),
      )
    }
  })
}

/** The version of that label that is known now, if it is loaded from the same source; else the version itself. */
export function successorOf({ catalogue }: Serving, version: ModelVersion): ModelVersion {
  const { name, version: label, source } = version.spec
  const known = catalogue.find(name, label)
  return known?.spec.source === source ? known : version
}

/** A load may have failed for a passing reason, such as a file system that was away; a crash loop did not. */
function mayTryAgain(serving: Serving, { machine, failedAtMs }: ModelVersion): boolean {
  if (failedAtMs === undefined || machine.cause instanceof errors.ERR_CIRCUIT_OPEN) return false
  return serving.clock.now() - failedAtMs >= serving.config.maxRestartBackoffMs
}

function unavailable(version: ModelVersion, why: string, cause: unknown = version.machine.cause): Error {
  const { name, version: label } = version.spec
  const detail = cause instanceof Error ? `: ${cause.message}` : ''
  return new errors.ERR_MODEL_UNAVAILABLE(`${name}@${label} cannot answer, ${why}${detail}`, {
    ...version.subject,
    cause,
  })
}
