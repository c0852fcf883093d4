import { messageOf } from '../errors/errors.js'
import type { RemoteControl } from '../protocol/replica/control.js'
import type { ReplicaReplies } from '../protocol/replica/replica-replies.js'
import type { BackgroundTask, LoadTask, RunTask } from '../protocol/replica/replica-task.js'

/** Called with the reason why a replica is gone although nobody has ended it. */
export type ExitListener = (cause: Error) => void

/** A task of which something, as its `cause` says, cannot be sent. Nothing has reached the replica, which lives on. */
export class UnsendableTask extends Error {
  override readonly name = 'UnsendableTask'

  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
  }
}

/**
 * Holds one replica: a session, in a place of its own that runs beside this thread. It lives once: after an
 * exit or `terminate` a new one is made. One task at a time; the version pool sees to that. What is asked
 * beside the tasks is answered between them, waits for a replica that has not begun, and rejects with
 * ERR_REPLICA_EXITED once it is gone. `test/contract/replica-host.test.ts` holds for every implementation.
 */
export interface ReplicaHost extends RemoteControl {
  /** True if the replica may be ended in the middle of a task. A thread may not: the process would abort with it. */
  readonly isKillable: boolean
  /** Tells the replica from the others of its kind, to users too. Set from `load` on; undefined after its end. */
  readonly id: number | undefined
  /** Index of the run that it has begun last of the pack it was given last, -1 before the first; kept after its end. */
  readonly progress: number
  /** True while it waits for its turn to enter native code: that is no time of its run. */
  readonly isWaiting: boolean
  /** Called once if the replica ends without `terminate`. */
  onExit: ExitListener | undefined
  /** Starts the replica and loads the model. Rejects with ERR_REPLICA_EXITED if it dies. */
  load(task: LoadTask): Promise<ReplicaReplies['load']>
  /**
   * Runs a pack, whose buffers are the replica's from now on: its own one comes back with the reply, those
   * that callers have given away do not. Rejects with `UnsendableTask`, with ERR_REPLICA_EXITED if the replica
   * dies, and with anything else if the host has failed, which the replica does not survive.
   */
  run(task: RunTask): Promise<ReplicaReplies['run']>
  /** Works on what is to be done beside the callers' requests; rejects as `run` does. */
  background(task: BackgroundTask): Promise<ReplicaReplies['background']>
  /** Gives the session back. */
  release(): Promise<ReplicaReplies['release']>
  /**
   * Ends the replica: at once if it is killable, else as soon as it is outside native code. Its task rejects with
   * ERR_REPLICA_EXITED. Resolves when it is gone, never rejects. Idempotent.
   */
  terminate(): Promise<void>
  /** The replica no longer keeps the process alive, whatever it is doing. */
  detach(): void
}
