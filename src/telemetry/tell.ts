import type { EventEmitter } from 'node:events'

/** Calls what is somebody else's. What it throws must not break what is under way: it surfaces on its own. */
export function aside(call: () => void): void {
  try {
    call()
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

/** Emits an event, aside. */
export function tell<Events extends Record<keyof Events, unknown[]>, K extends keyof Events & string>(
  emitter: EventEmitter<Events>,
  event: K,
  ...payload: Events[K]
): void {
  aside(() => (emitter as unknown as EventEmitter).emit(event, ...payload))
}
