import { loadLibc } from '../platform/libc.js'

/** The used part of a global that Node's types leave to those of browsers. */
interface WebAssemblyGlobal {
  readonly WebAssembly: { readonly Memory: new (size: { initial: number }) => object }
}

/**
 * Ends this process without a teardown of its threads: with `code` if koffi is installed, else by SIGKILL. Must only
 * be called on the main thread; a runtime in a worker thread must not end the process.
 */
export function endAtOnce(code: number): never {
  loadLibc()?.exitNow(code)
  process.kill(process.pid, 'SIGKILL')
  // The first process of a container survives this: the kernel drops signals that it sends to itself.
  exitByWasi(code)
  // The last resort ends the process with a faulting instruction, which no process survives.
  process.abort()
}

/**
 * Ends the process by `exit` of the C library, which WASI's `proc_exit` reaches without a teardown of threads. The
 * destructors that `exit` runs can fault beside a thread in native code, which ends the process too.
 */
function exitByWasi(code: number): void {
  try {
    const { Memory } = (globalThis as unknown as WebAssemblyGlobal).WebAssembly
    const { WASI } = process.getBuiltinModule('node:wasi')
    const wasi = new WASI({ version: 'preview1', returnOnExit: false })
    // No module is run, but `initialize` requires a memory.
    wasi.initialize({ exports: { memory: new Memory({ initial: 0 }) } })
    ;(wasi.wasiImport as { proc_exit(code: number): void }).proc_exit(code)
  } catch {
    // WASI is not allowed here, or a standard stream is closed.
  }
}
