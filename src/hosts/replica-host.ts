import { messageOf } from '../errors/errors.js'
import type { RemoteControl } from '../protocol/replica/control.js'
import type { ReplicaReplies } from '../protocol/replica/replica-replies.js'
import type { BackgroundTask, LoadTask, RunTask } from '../protocol/replica/replica-task.js'

/** Listener for the end of a replica that `terminate` did not cause. */
export type ExitListener = (cause: Error) => void

/**
 * Error of a task that cannot be sent, for the reason in its `cause`. Nothing has reached the replica, which lives
 * on.
 */
export class UnsendableTask extends Error {
  override readonly name = 'UnsendableTask'

  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
  }
}

/**
 * A host of one replica: a session in a place of its own that runs beside this thread. It is single-use: after an
 * exit or `terminate` a new one is created. It runs one task at a time, which the version pool ensures. Requests
 * beside the tasks are served between them, wait for a replica that has not started, and reject with
 * ERR_REPLICA_EXITED once it has ended. `test/contract/replica-host.test.ts` holds for every implementation.
 */
export interface ReplicaHost extends RemoteControl {
  /** True if the replica may be ended in the middle of a task. A thread may not: the process would abort with it. */
  readonly isKillable: boolean
  /** Identifies the replica among those of its kind, in reports too. Set from `load` on; undefined after its end. */
  readonly id: number | undefined
  /** Index of the run that the replica began last in the latest pack, -1 before the first; kept after its end. */
  readonly progress: number
  /** True while the replica waits for its turn to enter native code; that time does not count as time of its run. */
  readonly isWaiting: boolean
  /** Called once if the replica ends without `terminate`. */
  onExit: ExitListener | undefined
  /** Starts the replica and loads the model. Rejects with ERR_REPLICA_EXITED if it dies. */
  load(task: LoadTask): Promise<ReplicaReplies['load']>
  /**
   * Runs a pack and takes ownership of its buffers: the pack's own buffer comes back with the reply, those that
   * callers have transferred do not. Rejects with `UnsendableTask`, with ERR_REPLICA_EXITED if the replica dies, and
   * with any other error if the host has failed, which the replica does not survive.
   */
  run(task: RunTask): Promise<ReplicaReplies['run']>
  /** Runs background work; rejects as `run` does. */
  background(task: BackgroundTask): Promise<ReplicaReplies['background']>
  /** Releases the session. */
  release(): Promise<ReplicaReplies['release']>
  /**
   * Ends the replica: immediately if it is killable, else as soon as it is outside native code. Its task rejects with
   * ERR_REPLICA_EXITED. Resolves when the replica has ended; never rejects. Idempotent.
   */
  terminate(): Promise<void>
  /** Stops the replica from keeping the process alive, whatever it is doing. */
  detach(): void
}
