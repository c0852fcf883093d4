import { SHUTDOWN_PHASES, type ShutdownHandler, type StartupHandler } from './handlers.js'

/** What a handler that comes later is left, at the least, by those before it. */
const RESERVE_MS = 1_000
const RESERVE_SHARE = 1 / 20

/**
 * The shutdown handlers that have to run, in order: by phase, and within a phase in exact reverse of
 * the startup. One that belongs to a startup handler runs only if that is done, and in its place; any
 * other counts as having come after the startup handlers that were registered before it.
 * @param order every startup handler, in the order in which they run
 * @param done names of those that are done
 */
export function planShutdown(
  handlers: readonly ShutdownHandler[],
  order: readonly StartupHandler[],
  done: ReadonlySet<string>,
): ShutdownHandler[] {
  const position = new Map(order.map(({ name }, index) => [name, index]))
  const keyOf = ({ undoes, place }: ShutdownHandler): number => {
    const index = undoes === undefined ? undefined : position.get(undoes)
    if (index !== undefined) return index
    return order.findLastIndex((earlier) => earlier.place < place) + 0.5
  }
  return handlers
    .filter(({ undoes }) => undoes === undefined || !position.has(undoes) || done.has(undoes))
    .map((handler) => ({
      handler,
      key: keyOf(handler),
      phase: SHUTDOWN_PHASES.indexOf(handler.phase),
    }))
    .sort((a, b) => a.phase - b.phase || b.key - a.key || b.handler.place - a.handler.place)
    .map(({ handler }) => handler)
}

/**
 * How long something may take before `later` when the budget ends in `remainingMs`: all of it but for
 * what is reserved for those, so that one that hangs does not cost the others their turn.
 */
export function timeBefore(later: readonly ShutdownHandler[], remainingMs: number, budgetMs: number): number {
  const reserveMs = Math.min(RESERVE_MS, budgetMs * RESERVE_SHARE)
  const reservedMs = later.filter(({ timing }) => timing.isNeeded?.() ?? true).length * reserveMs
  // Ever so many handlers cannot reserve more than half of what is left.
  return Math.max(0, remainingMs - Math.min(reservedMs, remainingMs / 2))
}
