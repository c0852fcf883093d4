import { libcFailure, loadLibc } from '../platform/libc.js'
import { processWide } from '../platform/process-wide.js'
import type { Shortfalls } from '../telemetry/shortfalls.js'

/**
 * Threshold while a model is loaded: an allocation as large as weights gets a mapping of its own, and goes back to
 * the system when it is freed.
 */
const LOAD_MMAP_BYTES = 2 ** 20
/**
 * Threshold otherwise: memory that runs allocate and free again stays on malloc's heaps. malloc's dynamic threshold
 * would grow up to this value by itself. Mapping that memory anew for every run costs PP-OCR 5 % of its throughput.
 */
const SERVE_MMAP_BYTES = 32 * 2 ** 20
/**
 * Maximum free memory at the end of a heap: glibc's initial default, which would otherwise grow by itself. No trim
 * returns that part of another thread's heap: at 64 MiB up to 16 MB stay behind four threads that have ended.
 */
const TRIM_BYTES = 128 * 1024
/**
 * Maximum free memory at the end of a heap while weights are in mapped files: the session lays them out for the
 * kernels, one buffer after another, only to find each layout in a file.
 */
const LAYOUT_TRIM_BYTES = 64 * 2 ** 20

/**
 * Numbers of loads under way in this process: those whose weights are allocated by malloc, and those whose weights
 * are in mapped files. They are shared, because malloc is.
 */
interface Loads {
  heavy: number
  mapped: number
}

function sharedLoads(): Loads {
  return processWide('loads', () => ({ heavy: 0, mapped: 0 }))
}

/** Mode of the allocator: `tuned` sets malloc's thresholds for loads, `untouched` leaves them unchanged. */
export type AllocatorMode = 'tuned' | 'untouched'

/** The measures by which freed memory goes back to the system. */
export interface AllocatorStats {
  /** True if the heap is trimmed after a pool has ended. */
  readonly isTrimmed: boolean
  /** True if malloc gives large allocations a mapping of their own. */
  readonly isThresholdSet: boolean
  /** Reason why one of these measures is not taken; undefined if both are. */
  readonly reason: string | undefined
}

/**
 * Returns freed memory to the system. glibc keeps freed memory: 1.3 GB of 1.5 after four replicas of a 200 MB model
 * have ended. A trim returns most of it; keeping large allocations out of malloc's heaps returns the rest.
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
   * Runs `load`, which may overlap with other loads. Meanwhile malloc gives large allocations a mapping of their own,
   * unless the weights are in mapped files (`isMapped`): then allocated buffers are freed immediately.
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

  /** Trims the heap on another thread, which takes 40 ms for 450 MB. Callers during a trim share the next one. */
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

  /**
   * Records a shortfall if freed memory stays with the allocator because koffi is missing, on a system where it would
   * help.
   */
  noteShortfall(shortfalls: Shortfalls): void {
    if (process.platform !== 'linux' || this.#mode === 'untouched' || loadLibc() !== undefined) return
    shortfalls.add('freed memory is not returned to the system; koffi cannot be loaded', libcFailure())
  }

  stats(): AllocatorStats {
    const libc = loadLibc()
    const isTrimmed = libc?.trim !== undefined
    return { isTrimmed, isThresholdSet: this.#isThresholdSet, reason: this.#reason(isTrimmed) }
  }

  async #trim(): Promise<void> {
    // A trim that fails has returned nothing; there is nothing to repair.
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
