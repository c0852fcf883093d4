import type { Seat } from '../../src/protocol/guard/turn.js'
import type { LogLevel, LogLine } from '../../src/protocol/replica/log-line.js'
import type { PortTask } from '../../src/protocol/replica/replica-task.js'

/** The place that a replica runs in, a thread for example, and the process that it serves. */
export interface Parent {
  /** Tells the replica from the others of its kind. */
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

/** The way by which a replica is given packs and other work, one task at a time, and answers them. */
export interface TaskTransport {
  /** True if a task has been sent that was not taken yet, as far as can be told. Cheap: it is asked in a loop. */
  readonly hasTask: boolean
  /** Calls `take` with every task that comes, but for those that `next` has returned. To be called once. */
  listen(take: (task: PortTask) => void): void
  /** Takes the task that has come meanwhile; undefined if there is none. */
  next(): PortTask | undefined
  /** Sends a reply with `buffers`, which are in it and are not used here any more. Throws if it cannot be sent. */
  send(reply: unknown, buffers: ArrayBuffer[]): void
}
