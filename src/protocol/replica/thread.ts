import type { MessagePort } from 'node:worker_threads'
import type { Seat } from '../guard/turn.js'
import type { LogLevel } from './log-line.js'
import type { LoadTask, ReleaseTask } from './replica-task.js'

/** The data that a replica's thread is born with. */
export interface ThreadData {
  /** Memory of the guard's cells, shared with the main thread. */
  readonly guard: SharedArrayBuffer
  readonly model: string
  readonly version: string
  readonly logLevel: LogLevel
  /** Set for a thread whose native calls may have to take turns with others. */
  readonly seat: Seat | undefined
}

/** The load of a replica's thread, with the ports of its tasks and its control. */
export interface ThreadLoad extends LoadTask {
  /** The way by which packs and other work come, and go back answered. */
  readonly tasks: MessagePort
  /** The way by which the thread is asked things beside its work. */
  readonly control: MessagePort
}

/** A task that comes by Piscina; all others come by the ports. */
export type ThreadTask = ThreadLoad | ReleaseTask
