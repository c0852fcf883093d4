import type { Seat } from '../../src/protocol/guard/turn.js'
import type { LogLevel, LogLine } from '../../src/protocol/replica/log-line.js'
import type { PortTask } from '../../src/protocol/replica/replica-task.js'

/** The place where a replica runs, for example a thread, and the process that it serves. */
export interface Parent {
  /** Distinguishes the replica from others of its kind. */
  readonly id: number
  readonly model: string
  readonly version: string
  readonly logLevel: LogLevel
  /** Memory of the guard's cells. */
  readonly guard: SharedArrayBuffer
  /** Set if native calls may have to take turns with those of other replicas. */
  readonly seat: Seat | undefined
  /** Writes a line to the logger. Throws if something in it cannot be sent. */
  readonly log: (line: LogLine) => void
}

/** The connection by which a replica receives packs and other work, one task at a time, and sends replies. */
export interface TaskTransport {
  /**
   * True if a task has been sent that was not taken yet, as far as is known. Reading it is cheap, since it is
   * polled.
   */
  readonly hasTask: boolean
  /** Calls `take` with every task that comes, except those that `next` has returned. Call it once. */
  listen(take: (task: PortTask) => void): void
  /** Returns the task that has come meanwhile, and takes it; undefined if there is none. */
  next(): PortTask | undefined
  /** Sends a reply and transfers its `buffers`. Throws if it cannot be sent. */
  send(reply: unknown, buffers: ArrayBuffer[]): void
}
