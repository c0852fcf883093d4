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
 * The main thread's half of the guard of one replica thread: while the thread is inside a native call, it is not
 * terminated and the process does not end.
 */
export class GuardSlot {
  /** Memory shared with the thread, which receives it at its start. */
  readonly memory = new SharedArrayBuffer(CELL_COUNT * Int32Array.BYTES_PER_ELEMENT)
  readonly model: string
  readonly version: string
  readonly exitWaitMs: number
  /** Time at which the task under way was sent, by `performance.now()`; undefined if there is none. */
  busySinceMs: number | undefined
  readonly #cells = new Int32Array(this.memory)
  #turn: Turn | undefined

  /** @param turn the turn of a thread whose native calls may have to take turns with others */
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

  /** True while the thread waits for its turn. */
  get isWaiting(): boolean {
    return this.#turn?.isWaiting === true
  }

  /** Marks the thread's turn as held up, so that other threads do not wait for it. */
  holdUp(): void {
    this.#turn?.holdUp()
  }

  /** Index of the run of its pack that the thread began last. */
  get run(): number {
    return Atomics.load(this.#cells, RUN)
  }

  /** Resets `run`. To be called before a task is sent. */
  resetRun(): void {
    Atomics.store(this.#cells, RUN, NONE)
  }

  /** Counts a task. To be called after the task was sent. */
  countSent(): void {
    Atomics.add(this.#cells, SENT, 1)
  }

  /** Keeps the thread from entering another native call; one that it is in goes on to its end. */
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

  /**
   * Blocks the calling thread until the replica is outside native code; returns false if that takes longer than
   * `timeoutMs`.
   */
  waitOutsideNative(timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs
    while (this.isInsideNative) {
      const remainingMs = deadline - performance.now()
      if (remainingMs <= 0) return false
      Atomics.wait(this.#cells, STATE, INSIDE_NATIVE, remainingMs)
    }
    return true
  }

  /** Removes the slot, because a dead thread must not hold up the exit. To be called when the thread has exited. */
  release(): void {
    registry().slots.delete(this)
    this.#turn?.leave()
    this.#turn = undefined
  }
}

function registry(): GuardRegistry {
  return processWide('replica-guard', () => {
    const slots = new Set<GuardSlot>()
    // The memory of turns must exist before the application starts threads that may have runtimes of their own.
    sharedTurns()
    installExitHook(slots)
    return { slots }
  })
}

/**
 * Covers every way in which a process ends in JavaScript: the exit listeners, of which this one is the first where
 * possible; `process.exit` inside a listener of the application, which ends in `reallyExit`; and an error that is not
 * handled. The last listener ends a process that must not be torn down, so that the listeners of the application run
 * before.
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
    // Node reports the error only after the exit listeners, which is too late if this hook ends the process.
    uncaught = isHandled ? undefined : error
    if (isHandled) return
    // This is called here too, because an exit listener that throws keeps the listeners below from being called.
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
 * Stops every replica and waits for those inside native code, because ending the process while a thread is inside
 * onnxruntime aborts it (exit code 134). Returns the replicas that are still inside when the budget, which began at
 * `startedAtMs`, is used up: a run that never returns must not hold up the exit. Returns quickly when it is called
 * again.
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
    // A closed standard error must not keep the process from ending.
  }
  // A runtime in a worker thread must not end the process, so the thread only blocks.
  if (isMainThread) endAtOnce(code)
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
