import type { RemoteControl } from '../protocol/control.js'
import type { LoadTask, ReplicaReplies, RunTask, SideTask } from '../protocol/messages.js'

/** Why a replica's thread is gone, and that nobody asked for it. */
export type ExitListener = (cause: Error) => void

/**
 * One thread that can hold one session. It lives once: after an exit or `terminate` a
 * new one is made. One task at a time; the version pool sees to that.
 * `test/contract/replica-host.test.ts` holds for every implementation.
 */
export interface ReplicaHost extends RemoteControl {
  /** Set once `load` has been called; undefined after the thread's end. */
  readonly threadId: number | undefined
  /** Index of the run that it has begun last of the pack it was given last; -1 before the first. */
  readonly runIndex: number
  /** Whether it waits for its turn to enter native code: that is no time of its run. */
  readonly isWaiting?: boolean
  /** Called once if the thread ends without `terminate`. */
  onExit: ExitListener | undefined
  /** Starts the thread and loads the model. Rejects with ERR_REPLICA_EXITED if the thread dies. */
  load(task: LoadTask): Promise<ReplicaReplies['load']>
  /**
   * Runs a pack, whose buffers are the replica's from now on: its own one comes back with the reply, those
   * that callers have given away do not. Rejects with ERR_REPLICA_EXITED if the thread dies.
   */
  run(task: RunTask): Promise<ReplicaReplies['run']>
  /** Works on what is to be done beside the callers' requests. */
  side(task: SideTask): Promise<ReplicaReplies['side']>
  /** Gives the session back. */
  release(): Promise<ReplicaReplies['release']>
  /** Ends the thread as soon as it is outside native code; resolves when it is gone, never rejects. Idempotent. */
  terminate(): Promise<void>
  /** The thread no longer keeps the process alive, whatever it is doing. */
  detach(): void
}
