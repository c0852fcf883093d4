import type { MessagePort } from 'node:worker_threads'
import type { LoadTask, LogLevel, ReleaseTask } from './messages.js'
import type { Seat } from './turn.js'

/** What a replica's thread is born with. */
export interface ThreadData {
  /** Memory of the guard's cells, shared with the main thread. */
  readonly guard: SharedArrayBuffer
  readonly model: string
  readonly version: string
  readonly logLevel: LogLevel
  /** Set for a thread whose native calls may have to take turns with others. */
  readonly seat: Seat | undefined
}

/** What the thread is given with its model. */
export interface ThreadLoad extends LoadTask {
  /** The way by which packs and other work come, and go back answered. */
  readonly tasks: MessagePort
  /** The way by which the thread is asked things beside its work. */
  readonly control: MessagePort
}

/** What comes by Piscina; all else comes by the ports. */
export type ThreadTask = ThreadLoad | ReleaseTask
