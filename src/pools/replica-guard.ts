import { writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { loadLibc } from '../memory/libc.js'
import { CELL_COUNT, INSIDE_NATIVE, STATE, STOP } from '../protocol/guard-cells.js'

/** The part of the process's guard that all copies of this library share. */
interface GuardRegistry {
  readonly slots: Set<GuardSlot>
}

const REGISTRY = Symbol.for('tbcoin-engine.replica-guard')

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

  constructor(model: string, version: string, exitWaitMs: number) {
    this.model = model
    this.version = version
    this.exitWaitMs = exitWaitMs
    registry().slots.add(this)
  }

  get isInsideNative(): boolean {
    return Atomics.load(this.#cells, STATE) === INSIDE_NATIVE
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
  }
}

function registry(): GuardRegistry {
  const holder = globalThis as { [REGISTRY]?: GuardRegistry }
  let shared = holder[REGISTRY]
  if (shared === undefined) {
    shared = { slots: new Set() }
    holder[REGISTRY] = shared
    installExitHook(shared.slots)
  }
  return shared
}

/**
 * The first of all exit listeners waits, for one of the host's may call `process.exit`,
 * which ends the process there and then. The last ends a process that must not be torn
 * down, so that the host's listeners run before.
 */
function installExitHook(slots: ReadonlySet<GuardSlot>): void {
  let uncaught: unknown
  // Node reports it only after the exit listeners, too late if we end the process.
  process.on('uncaughtExceptionMonitor', (error) => {
    uncaught = process.listenerCount('uncaughtException') === 0 ? error : undefined
  })
  let stuck: GuardSlot[] = []
  process.prependListener('exit', () => {
    stuck = awaitReplicas(slots)
    if (stuck.length === 0) return
    // What a `process.exit` inside another listener comes down to.
    const end = (code?: number): never => endProcess(stuck, code ?? 0, uncaught)
    Object.assign(process, { reallyExit: end })
  })
  process.on('exit', (code) => {
    if (stuck.length > 0) endProcess(stuck, code, uncaught)
  })
}

/**
 * The exit hook. Ending the process while a thread is inside onnxruntime aborts it
 * (exit 134), so stop every replica and wait for those that are inside. Waiting longer
 * than the budget would hang on a run that never returns: then end without teardown.
 */
function awaitReplicas(slots: ReadonlySet<GuardSlot>): GuardSlot[] {
  for (const slot of slots) slot.requestStop()
  const startedAt = performance.now()
  const stuck: GuardSlot[] = []
  for (const slot of slots) {
    if (!slot.waitOutsideNative(startedAt + slot.exitWaitMs - performance.now())) stuck.push(slot)
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
  loadLibc()?.exitNow(code)
  process.kill(process.pid, 'SIGKILL')
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
