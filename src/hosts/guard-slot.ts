import { writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { processWide } from '../platform/process-wide.js'
import { CELL_COUNT, INSIDE_NATIVE, NONE, RUN, SENT, STATE, STOP } from '../protocol/guard/guard-cells.js'
import type { Turn } from '../protocol/guard/turn.js'
import { isExiting } from '../telemetry/call-listener.js'
import { endAtOnce } from './end-at-once.js'
import { sharedTurns } from './shared-turns.js'

/** The part of the process's guard that all copies of this library share. */
interface GuardRegistry {
  readonly slots: Set<GuardSlot>
}

/**
 * The main thread's half of the guard over one replica thread: nobody terminates
 * the thread, and the process does not end, while it is inside a native call.
 */
export class GuardSlot {
  /** Shared with the thread; it is born with it. */
  readonly memory = new SharedArrayBuffer(CELL_COUNT * Int32Array.BYTES_PER_ELEMENT)
  readonly model: string
  readonly version: string
  readonly exitWaitMs: number
  /** When the task under way was sent, on `performance.now()`'s clock. */
  busySinceMs: number | undefined
  readonly #cells = new Int32Array(this.memory)
  #turn: Turn | undefined

  /** `turn` is that of a thread whose native calls may have to take turns with others. */
  constructor(model: string, version: string, exitWaitMs: number, turn?: Turn) {
    this.#turn = turn
    this.model = model
    this.version = version
    this.exitWaitMs = exitWaitMs
    registry().slots.add(this)
  }

  get isInsideNative(): boolean {
    return Atomics.load(this.#cells, STATE) === INSIDE_NATIVE
  }

  /** Whether the thread waits for its turn. */
  get isWaiting(): boolean {
    return this.#turn?.isWaiting === true
  }

  /** Tells the threads that take turns with this one not to wait for it. */
  holdUp(): void {
    this.#turn?.holdUp()
  }

  /** Which run of its pack the thread has begun last. */
  get run(): number {
    return Atomics.load(this.#cells, RUN)
  }

  /** A task is about to be sent. */
  resetRun(): void {
    Atomics.store(this.#cells, RUN, NONE)
  }

  /** A task has been sent. */
  countSent(): void {
    Atomics.add(this.#cells, SENT, 1)
  }

  /** From now on the thread enters no native call; one it is in goes on to its end. */
  requestStop(): void {
    Atomics.store(this.#cells, STOP, 1)
  }

  /** Resolves when the thread is outside native code, which holds for good after `requestStop`. */
  async whenOutsideNative(): Promise<void> {
    for (;;) {
      const wait = Atomics.waitAsync(this.#cells, STATE, INSIDE_NATIVE)
      if (!wait.async) return
      await wait.value
    }
  }

  /** Blocks this thread until the replica is outside native code, `timeoutMs` at most. */
  waitOutsideNative(timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs
    while (this.isInsideNative) {
      const remainingMs = deadline - performance.now()
      if (remainingMs <= 0) return false
      Atomics.wait(this.#cells, STATE, INSIDE_NATIVE, remainingMs)
    }
    return true
  }

  /** To be called when the thread has exited: a dead thread must not hold up the exit. */
  free(): void {
    registry().slots.delete(this)
    this.#turn?.leave()
    this.#turn = undefined
  }
}

function registry(): GuardRegistry {
  return processWide('replica-guard', () => {
    const slots = new Set<GuardSlot>()
    // Before the host starts threads that may have runtimes of their own.
    sharedTurns()
    installExitHook(slots)
    return { slots }
  })
}

/**
 * Every way in which a process ends in JavaScript comes past here: the exit listeners, of which
 * ours is the first that can be, `process.exit` inside one of the host's, which ends in
 * `reallyExit`, and an error that nobody handles. The last listener ends a process that must not be
 * torn down, so that the host's listeners run before.
 */
function installExitHook(slots: ReadonlySet<GuardSlot>): void {
  let uncaught: unknown
  let startedAtMs: number | undefined
  const stuckReplicas = (): GuardSlot[] => {
    startedAtMs ??= performance.now()
    return awaitReplicas(slots, startedAtMs)
  }
  process.on('uncaughtExceptionMonitor', (error) => {
    const isHandled =
      process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()
    // Node reports it only after the exit listeners, too late if we end the process.
    uncaught = isHandled ? undefined : error
    if (isHandled) return
    // Here, since an exit listener that throws keeps ours from being called.
    const stuck = stuckReplicas()
    if (isExiting() && stuck.length > 0) endProcess(stuck, Number(process.exitCode ?? 1), uncaught)
  })
  process.prependListener('exit', () => void stuckReplicas())
  process.on('exit', (code) => {
    const stuck = stuckReplicas()
    if (stuck.length > 0) endProcess(stuck, code, uncaught)
  })
  const process_ = process as unknown as { reallyExit(code?: number): never }
  const { reallyExit } = process_
  process_.reallyExit = (code) => {
    const stuck = stuckReplicas()
    if (stuck.length > 0) endProcess(stuck, code ?? 0, uncaught)
    return reallyExit.call(process, code)
  }
}

/**
 * The exit hook. Ending the process while a thread is inside onnxruntime aborts it
 * (exit 134), so stop every replica and wait for those that are inside. Waiting longer
 * than the budget, which began at `startedAtMs`, would hang on a run that never returns:
 * then end without teardown. Quick when it is called again.
 */
function awaitReplicas(slots: ReadonlySet<GuardSlot>, startedAtMs: number): GuardSlot[] {
  for (const slot of slots) slot.requestStop()
  const stuck: GuardSlot[] = []
  for (const slot of slots) {
    if (!slot.waitOutsideNative(startedAtMs + slot.exitWaitMs - performance.now())) stuck.push(slot)
  }
  return stuck
}

function endProcess(stuck: readonly GuardSlot[], code: number, uncaught: unknown): never {
  const now = performance.now()
  const lines = stuck.map((slot) => {
    const seconds = slot.busySinceMs === undefined ? '?' : ((now - slot.busySinceMs) / 1000).toFixed(1)
    return `${slot.model}@${slot.version} has been running for ${seconds} s`
  })
  try {
    if (uncaught !== undefined) writeSync(2, `Uncaught ${inspect(uncaught)}\n`)
    writeSync(2, `tbcoin-engine: exit with code ${code} without waiting longer: ${lines.join(', ')}\n`)
  } catch {
    // A closed stderr must not keep the process from ending.
  }
  // Off the main thread that would be the end of the host: then this thread just stays.
  if (isMainThread) endAtOnce(code)
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
