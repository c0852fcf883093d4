import { withTimeout } from '../async/with-timeout.js'
import { errors } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import { cleanValue } from './clean-value.js'
import type { Ending, ManagedResource } from './managed-resource.js'

/**
 * Returns the resources to clean up for `resource`, or all of them: those that are still being initialised
 * first, then the latest initialised first, so that no resource loses its dependencies while it is in use.
 */
export function cleanupOrder(
  resources: Iterable<ManagedResource>,
  resource?: ManagedResource,
): ManagedResource[] {
  const all = [...resources]
  const chosen = new Set(resource === undefined ? all : [resource])
  // The set grows during the loop, so that dependents of dependents are included.
  for (const { name } of chosen) {
    for (const other of all) if (other.isLive && other.settings.dependsOn.includes(name)) chosen.add(other)
  }
  const rank = ({ initializedAs = Infinity }: ManagedResource): number => initializedAs
  return [...chosen].reverse().sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)))
}

/** One cleanup of one or more resources. */
export class Cleanup {
  readonly #clock: Clock
  readonly #trigger: string
  readonly #resourceMs: number
  readonly #totalMs: number
  readonly #startedAtMs: number

  /** `resourceMs` is the time limit of each resource, `totalMs` that of all of them. */
  constructor(clock: Clock, trigger: string, resourceMs: number, totalMs: number = Infinity) {
    this.#clock = clock
    this.#startedAtMs = clock.now()
    this.#trigger = trigger
    this.#resourceMs = resourceMs
    this.#totalMs = totalMs
  }

  /**
   * Cleans up the resources one after another, even if some fail; all are `stopping` before the first cleaner
   * is called. A resource that is being cleaned up already is awaited, not cleaned again. Resolves with the
   * failures.
   */
  async run(order: readonly ManagedResource[]): Promise<Error[]> {
    const outcomes: Promise<Error | undefined>[] = []
    let before: Promise<unknown> = Promise.resolve()
    for (const resource of order) {
      const outcome =
        resource.ending === undefined
          ? this.#begin(resource, before)
          : this.#join(resource.name, resource.ending)
      before = Promise.all([before, outcome])
      outcomes.push(outcome)
    }
    return (await Promise.all(outcomes)).filter((failure) => failure !== undefined)
  }

  get #leftMs(): number {
    return Math.max(0, this.#totalMs - (this.#clock.now() - this.#startedAtMs))
  }

  async #join(name: string, { outcome, hurry }: Ending): Promise<Error | undefined> {
    if (this.#totalMs === Infinity) return outcome
    const settled = await withTimeout(
      this.#clock,
      outcome.then((failure) => ({ failure })),
      this.#leftMs,
    )
    if (settled !== undefined) return settled.failure
    // Its dependencies are cleaned up next, and must not be cleaned before it.
    hurry()
    return new errors.ERR_SHUTDOWN(
      `resource ${name} is not cleaned up within ${this.#totalMs} ms; an earlier cleanup of it is still running`,
    )
  }

  #begin(resource: ManagedResource, turn: Promise<unknown>): Promise<Error | undefined> {
    const { name, machine, initializing } = resource
    if (!resource.isLive) {
      if (!machine.is('stopped')) machine.to('stopped', this.#trigger)
      return Promise.resolve(undefined)
    }
    // Set up before the state changes, since a listener may start a cleanup too.
    let hurry = (): void => undefined
    const hurried = new Promise<void>((resolve) => {
      hurry = resolve
    })
    const outcome = Promise.race([turn, hurried]).then(() => this.#finish(resource, initializing?.promise))
    resource.ending = { outcome, hurry }
    machine.to('stopping', this.#trigger)
    initializing?.abort(
      new errors.ERR_RESOURCE_INIT(`resource ${name} was cleaned up while it was being initialised`),
    )
    return outcome
  }

  async #finish(
    resource: ManagedResource,
    initializing: Promise<unknown> | undefined,
  ): Promise<Error | undefined> {
    const endsAtMs = this.#clock.now() + Math.min(this.#resourceMs, this.#leftMs)
    const limitMs = (): number => Math.max(0, endsAtMs - this.#clock.now())
    // The initialisation has been aborted, so this takes no time.
    await initializing?.catch(() => undefined)
    const cleaned = await cleanHeld(this.#clock, resource, limitMs())
    const failures = [cleaned, ...(await awaitLeftovers(this.#clock, resource, limitMs()))]
    const failure = summarize(failures.filter((error) => error !== undefined))
    // Cleared before the state changes, since a listener may initialise the resource again.
    resource.ending = undefined
    if (failure === undefined) resource.machine.to('stopped', this.#trigger)
    else resource.machine.to('error', this.#trigger, failure)
    return failure
  }
}

async function cleanHeld(
  clock: Clock,
  resource: ManagedResource,
  limitMs: number,
): Promise<Error | undefined> {
  const { held, name } = resource
  // Removed before it is cleaned, so that it is never cleaned twice.
  resource.held = undefined
  if (held === undefined) return undefined
  return cleanValue(clock, name, held.type, held.value, limitMs).then(
    () => undefined,
    (error: Error) => error,
  )
}

async function awaitLeftovers(
  clock: Clock,
  { name, leftovers }: ManagedResource,
  limitMs: number,
): Promise<(Error | undefined)[]> {
  if (leftovers.size === 0) return []
  const failures = await withTimeout(clock, Promise.all(leftovers), limitMs)
  if (failures !== undefined) return failures
  return [
    new errors.ERR_SHUTDOWN(
      `an aborted initializer of resource ${name} has not returned within ${Math.round(limitMs)} ms; it was abandoned`,
    ),
  ]
}

/**
 * Returns one error for all failures; undefined if there are none. A single failure is returned as it is,
 * unless `isAggregate` is true.
 */
export function summarize(failures: readonly Error[], isAggregate = false): Error | undefined {
  if (failures.length === 0 || (failures.length === 1 && !isAggregate)) return failures[0]
  const messages = failures.map(({ message }) => message)
  return new errors.ERR_SHUTDOWN(messages.join('; '), { cause: new AggregateError(failures) })
}
