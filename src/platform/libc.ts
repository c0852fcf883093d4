import { requireHere } from './package-files.js'
import { processWide } from './process-wide.js'

/** The functions of the C library that this library calls. */
export interface Libc {
  /** Ends the process immediately with `code`, without exit handlers and without a teardown of threads. */
  exitNow(code: number): void
  /**
   * Makes the kernel kill this process when the thread that started it ends. Returns false if the system cannot (only
   * Linux can).
   */
  dieWithParent(): boolean
  /**
   * Returns the free memory of the heap to the system, on a thread of libuv's pool. Undefined if malloc has no such
   * function (musl, macOS, Windows).
   */
  readonly trim: (() => Promise<void>) | undefined
  /**
   * Makes malloc map every allocation of `mmapBytes` or more by itself, so that it goes back to the system when it is
   * freed, and keep up to `trimBytes` free at the end of each of its heaps. Returns false if malloc refuses.
   * Undefined if malloc has no such settings.
   */
  readonly setThresholds: ((mmapBytes: number, trimBytes: number) => boolean) | undefined
}

/** Constants of Linux's prctl.h and signal.h. */
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9
/** Constants of glibc's malloc.h. */
const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3

/** The C library, or the reason why it cannot be used. */
interface LibcOrFailure {
  readonly libc?: Libc
  readonly failure?: unknown
}

/**
 * Returns the C library through koffi, an optional dependency; undefined if koffi is missing or does not work. The
 * first call loads it synchronously, so that an exit hook can call this.
 */
export function loadLibc(): Libc | undefined {
  return sharedLibc().libc
}

/** Returns the error that keeps koffi from being used; undefined if there is none. */
export function libcFailure(): unknown {
  return sharedLibc().failure
}

function sharedLibc(): LibcOrFailure {
  return processWide('libc', openLibc)
}

function openLibc(): LibcOrFailure {
  try {
    const koffi = requireHere('koffi') as typeof import('koffi')
    const library = koffi.load(process.platform === 'win32' ? 'ucrtbase.dll' : null)
    const exit = library.func('void _exit(int code)')
    const malloc = process.platform === 'linux' ? glibcMalloc(library) : undefined
    const libc: Libc = {
      exitNow: (code) => exit(code),
      dieWithParent: () => process.platform === 'linux' && requestDeathSignal(library),
      trim: malloc?.trim,
      setThresholds: malloc?.setThresholds,
    }
    return { libc }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
    return { failure: isMissing ? new Error('it is not installed; npm install koffi') : error }
  }
}

function requestDeathSignal(library: import('koffi').LibraryHandle): boolean {
  try {
    return library.func('int prctl(int option, unsigned long value)')(PR_SET_PDEATHSIG, SIGKILL) === 0
  } catch {
    return false
  }
}

/** Returns glibc's malloc; undefined for another C library, or if another malloc replaces it. */
function glibcMalloc(
  library: import('koffi').LibraryHandle,
): Required<Pick<Libc, 'trim' | 'setThresholds'>> | undefined {
  try {
    const trim = library.func('int malloc_trim(size_t pad)')
    const mallopt = library.func('int mallopt(int param, int value)')
    return {
      trim: () =>
        new Promise((resolve, reject) => {
          trim.async(0, (error: unknown) => (error === null ? resolve() : reject(error)))
        }),
      setThresholds: (mmapBytes, trimBytes) =>
        mallopt(M_MMAP_THRESHOLD, mmapBytes) === 1 && mallopt(M_TRIM_THRESHOLD, trimBytes) === 1,
    }
  } catch {
    return undefined
  }
}
