import { createRequire } from 'node:module'

/** What this library calls in the C library. */
export interface Libc {
  /** Ends the process at once with `code`: no exit handler, no teardown of threads. */
  exitNow(code: number): void
}

let libc: Libc | undefined
let isTried = false

/**
 * The C library through koffi, an optional dependency; undefined without it or where it
 * does not work. Loaded on first use, synchronously, so that an exit hook can call it.
 */
export function loadLibc(): Libc | undefined {
  if (isTried) return libc
  isTried = true
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const library = koffi.load(process.platform === 'win32' ? 'ucrtbase.dll' : null)
    const exit = library.func('void _exit(int code)')
    libc = { exitNow: (code) => exit(code) }
  } catch {
    libc = undefined
  }
  return libc
}
