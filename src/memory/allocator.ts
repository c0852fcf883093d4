import { loadLibc, whyNoLibc } from '../platform/libc.js'
import { processWide } from '../platform/process-wide.js'
import type { Shortfalls } from '../telemetry/shortfalls.js'

/** While a model is loaded: what is as large as weights has a mapping of its own, and goes back when it is freed. */
const LOAD_MMAP_BYTES = 2 ** 20
/**
 * Else: what runs take and free again stays on malloc's heaps. As far as malloc would come by
 * itself, had it not been told anything; mapped anew for every run it costs PP-OCR 5 % of its throughput.
 */
const SERVE_MMAP_BYTES = 32 * 2 ** 20
/**
 * What may stay free at the end of a heap: glibc's default, which grows by itself otherwise. No trim gives
 * that part of another thread's heap back: at 64 MiB up to 16 MB stay behind four threads that have ended.
 */
const TRIM_BYTES = 128 * 1024
/** While weights are laid out for the kernels, only to find them in a file: one buffer after another. */
const LAYOUT_TRIM_BYTES = 64 * 2 ** 20

/** Counts the loads under way in this process whose weights malloc has, and whose weights are in files: malloc is one. */
interface Loads {
  heavy: number
  mapped: number
}

function sharedLoads(): Loads {
  return processWide('loads', () => ({ heavy: 0, mapped: 0 }))
}

/** `tuned` sets malloc's thresholds for loads, `untouched` leaves them as they are. */
export type AllocatorMode = 'tuned' | 'untouched'

/** What is done so that freed memory goes back to the system. */
export interface AllocatorStats {
  /** Whether the heap is trimmed after a pool is gone. */
  readonly isTrimmed: boolean
  /** Whether large allocations are mapped by themselves. */
  readonly isThresholdSet: boolean
  /** Why not all of that is done; undefined if it is. */
  readonly reason: string | undefined
}

/**
 * Gives freed memory back. glibc keeps what is freed: 1.3 GB of 1.5 after four replicas of a 200 MB
 * model are gone. A trim gives most of it back; that large allocations never come to lie in its heaps
 * does the rest.
 */
export class Allocator {
  readonly #mode: AllocatorMode
  #isThresholdSet = false
  #isRefused = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(mode: AllocatorMode) {
    this.#mode = mode
  }

  /**
   * Does `load`, which may overlap with others. Large allocations are mapped by themselves meanwhile,
   * unless the weights are in files that are mapped (`isMapped`): then what is allocated is freed at once.
   */
  async whileLoading<T>(isMapped: boolean, load: () => Promise<T>): Promise<T> {
    const loads = sharedLoads()
    const kind = isMapped ? 'mapped' : 'heavy'
    loads[kind] += 1
    this.#setThresholds()
    try {
      return await load()
    } finally {
      loads[kind] -= 1
      this.#setThresholds()
    }
  }

  /** Trims the heap, 40 ms for 450 MB, on another thread; whoever asks while that is going on shares the next. */
  reclaim(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#trim().finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      return this.reclaim()
    })
    return this.#next
  }

  /** Notes that freed memory does not go back for want of koffi, if that is asked for and would help. */
  noteShortfall(shortfalls: Shortfalls): void {
    if (process.platform !== 'linux' || this.#mode === 'untouched' || loadLibc() !== undefined) return
    shortfalls.add(
      "freed memory stays with the C library's allocator, as koffi cannot be loaded",
      whyNoLibc(),
    )
  }

  stats(): AllocatorStats {
    const libc = loadLibc()
    const isTrimmed = libc?.trim !== undefined
    return { isTrimmed, isThresholdSet: this.#isThresholdSet, reason: this.#reason(isTrimmed) }
  }

  async #trim(): Promise<void> {
    // A trim that fails has given nothing back; there is nothing to be done about it.
    await loadLibc()
      ?.trim?.()
      .catch(() => undefined)
  }

  #setThresholds(): void {
    if (this.#mode === 'untouched') return
    const { heavy, mapped } = sharedLoads()
    const mmapBytes = heavy > 0 ? LOAD_MMAP_BYTES : SERVE_MMAP_BYTES
    const trimBytes = mapped > 0 ? LAYOUT_TRIM_BYTES : TRIM_BYTES
    this.#isThresholdSet = loadLibc()?.setThresholds?.(mmapBytes, trimBytes) ?? false
    this.#isRefused = !this.#isThresholdSet
  }

  #reason(isTrimmed: boolean): string | undefined {
    if (loadLibc() === undefined) {
      return 'koffi is not installed or does not work here; install it, or freed memory stays with the allocator'
    }
    if (!isTrimmed) return "the C library has no malloc_trim; only glibc's malloc is known to need it"
    if (this.#mode === 'untouched') return "memory.allocator is 'untouched'"
    if (this.#isRefused) return 'malloc refuses M_MMAP_THRESHOLD'
    return undefined
  }
}
