import type { MessagePort } from 'node:worker_threads'
import type { Seat } from '../guard/turn.js'
import type { LogLevel } from './log-line.js'
import type { LoadTask, ReleaseTask } from './replica-task.js'

/** The data with which a replica's thread is started. */
export interface ThreadData {
  /** Memory of the guard's cells, shared with the main thread. */
  readonly guard: SharedArrayBuffer
  readonly model: string
  readonly version: string
  readonly logLevel: LogLevel
  /** The thread's seat; undefined for a thread whose native calls need not take turns with others. */
  readonly seat: Seat | undefined
}

/** The load task of a replica's thread, with the ports of its tasks and its control. */
export interface ThreadLoad extends LoadTask {
  /** Port at which packs and other tasks arrive, and through which their replies go back. */
  readonly tasks: MessagePort
  /** Port at which requests to the thread beside its work arrive. */
  readonly control: MessagePort
}

/** A task that is sent through Piscina; all others are sent through the ports. */
export type ThreadTask = ThreadLoad | ReleaseTask
