import { requireHere } from './package-files.js'
import { processWide } from './process-wide.js'

/** What this library calls in the C library. */
export interface Libc {
  /** Ends the process at once with `code`: no exit handler, no teardown of threads. */
  exitNow(code: number): void
  /** Has the kernel kill this process when the thread that made it ends. False where it cannot (Linux can). */
  dieWithParent(): boolean
  /**
   * Gives what the heap holds free back to the system, on a thread of libuv's pool. Undefined where
   * malloc has no such call (musl, macOS, Windows).
   */
  readonly trim: (() => Promise<void>) | undefined
  /**
   * Has malloc map every allocation of `mmapBytes` or more by itself, so that it goes back when it is
   * freed, and keep up to `trimBytes` that are free at the end of each of its heaps. False if malloc
   * refuses; undefined where it has no such settings.
   */
  readonly setThresholds: ((mmapBytes: number, trimBytes: number) => boolean) | undefined
}

/** Of Linux's prctl.h and signal.h. */
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9
/** Of glibc's malloc.h. */
const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3

/** The C library, or why it cannot be used. */
interface LibcOrFailure {
  readonly libc?: Libc
  readonly failure?: unknown
}

/**
 * The C library through koffi, an optional dependency; undefined without it or where it
 * does not work. Loaded on first use, synchronously, so that an exit hook can call it.
 */
export function loadLibc(): Libc | undefined {
  return sharedLibc().libc
}

/** Returns what keeps koffi from being used; undefined if nothing does. */
export function whyNoLibc(): unknown {
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
      dieWithParent: () => process.platform === 'linux' && askForDeathSignal(library),
      trim: malloc?.trim,
      setThresholds: malloc?.setThresholds,
    }
    return { libc }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
    return { failure: isMissing ? new Error('it is not installed; npm install koffi') : error }
  }
}

function askForDeathSignal(library: import('koffi').LibraryHandle): boolean {
  try {
    return library.func('int prctl(int option, unsigned long value)')(PR_SET_PDEATHSIG, SIGKILL) === 0
  } catch {
    return false
  }
}

/** Undefined if the C library is another one, or another malloc was put in its place. */
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
