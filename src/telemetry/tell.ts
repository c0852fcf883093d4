import type { EventEmitter } from 'node:events'

/** Emits an event. A listener that throws must not break what is under way: its error surfaces on its own. */
export function tell<Events extends Record<keyof Events, unknown[]>, K extends keyof Events & string>(
  emitter: EventEmitter<Events>,
  event: K,
  ...payload: Events[K]
): void {
  try {
    ;(emitter as unknown as EventEmitter).emit(event, ...payload)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
