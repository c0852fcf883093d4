import { SHUTDOWN_PHASES, type ShutdownHandler, type StartupHandler } from './handlers.js'

/** Time that handlers reserve for each later one, and its maximum share of the budget. */
const RESERVE_MS = 1_000
const RESERVE_SHARE = 1 / 20

/**
 * Returns the shutdown handlers to run, in order: by phase, and within a phase in exact reverse of the startup. A
 * handler that undoes a startup handler runs only if that one has completed, and has its position. Any other handler
 * has the position after the startup handlers that were registered before it.
 * @param order has every startup handler, in the order in which they run.
 * @param done has the names of startup handlers that have completed.
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
 * Returns the time that a handler may take before the handlers in `later`, if the budget ends in `remainingMs`. The rest
 * is reserved for those, so that a handler that hangs does not use up their time.
 */
export function timeBefore(later: readonly ShutdownHandler[], remainingMs: number, budgetMs: number): number {
  const reserveMs = Math.min(RESERVE_MS, budgetMs * RESERVE_SHARE)
  const reservedMs = later.filter(({ timing }) => timing.isNeeded?.() ?? true).length * reserveMs
  // Many handlers together reserve at most half of the remaining time.
  return Math.max(0, remainingMs - Math.min(reservedMs, remainingMs / 2))
}
