import { withTimeout } from '../async/with-timeout.js'
import { errors } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import { cleanValue } from './clean-value.js'
import type { Ending, ManagedResource } from './managed-resource.js'

/**
 * What has to be cleaned up for `resource` to be, or for all to be: the latest initialised
 * first, and before them those that are still on their way, so that nothing loses what it
 * depends on.
 */
export function cleanupOrder(
  known: Iterable<ManagedResource>,
  resource?: ManagedResource,
): ManagedResource[] {
  const all = [...known]
  const chosen = new Set(resource === undefined ? all : [resource])
  // It grows while it is walked: dependents of dependents come too.
  for (const { name } of chosen) {
    for (const other of all) if (other.isLive && other.settings.dependsOn.includes(name)) chosen.add(other)
  }
  const rank = ({ initializedAs = Infinity }: ManagedResource): number => initializedAs
  return [...chosen].reverse().sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)))
}

/** One call that cleans up. */
export class Cleanup {
  readonly #clock: Clock
  readonly #trigger: string
  readonly #eachMs: number
  readonly #allMs: number
  readonly #startedAtMs: number

  /** `eachMs` is for each resource, `allMs` for all of them. */
  constructor(clock: Clock, trigger: string, eachMs: number, allMs: number = Infinity) {
    this.#clock = clock
    this.#startedAtMs = clock.now()
    this.#trigger = trigger
    this.#eachMs = eachMs
    this.#allMs = allMs
  }

  /**
   * Cleans up one after another, whether or not those before failed; all are `stopping` before
   * the first cleaner is called. One that is being cleaned up already is waited for, not cleaned
   * again. Resolves with what went wrong.
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
    return Math.max(0, this.#allMs - (this.#clock.now() - this.#startedAtMs))
  }

  async #join(name: string, { outcome, hurry }: Ending): Promise<Error | undefined> {
    if (this.#allMs === Infinity) return outcome
    const settled = await withTimeout(
      this.#clock,
      outcome.then((failure) => ({ failure })),
      this.#leftMs,
    )
    if (settled !== undefined) return settled.failure
    // What it depends on is next, and must not go before it.
    hurry()
    return new errors.ERR_SHUTDOWN(
      `resource ${name} is not cleaned up within ${this.#allMs} ms; its cleanup was asked for earlier and goes on`,
    )
  }

  #begin(resource: ManagedResource, turn: Promise<unknown>): Promise<Error | undefined> {
    const { name, machine, initializing } = resource
    if (!resource.isLive) {
      if (!machine.is('stopped')) machine.to('stopped', this.#trigger)
      return Promise.resolve(undefined)
    }
    // Before it moves: a listener may ask for a cleanup too.
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
    const endsAtMs = this.#clock.now() + Math.min(this.#eachMs, this.#leftMs)
    const limitMs = (): number => Math.max(0, endsAtMs - this.#clock.now())
    // It has been aborted: this takes no time.
    await initializing?.catch(() => undefined)
    const cleaned = await cleanHeld(this.#clock, resource, limitMs())
    const failures = [cleaned, ...(await awaitLeftovers(this.#clock, resource, limitMs()))]
    const failure = summarize(failures.filter((each) => each !== undefined))
    // Before it moves: a listener may initialise it again.
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
  // Taken before it is cleaned: whatever happens, it is not cleaned twice.
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
      `an initializer of resource ${name} that was given up has not returned within ${Math.round(limitMs)} ms; it is left to itself`,
    ),
  ]
}

/** One error for all failures; undefined if there is none. A single one stands for itself unless told otherwise. */
export function summarize(failures: readonly Error[], isAggregate = false): Error | undefined {
  if (failures.length === 0 || (failures.length === 1 && !isAggregate)) return failures[0]
  const messages = failures.map(({ message }) => message)
  return new errors.ERR_SHUTDOWN(messages.join('; '), { cause: new AggregateError(failures) })
}
