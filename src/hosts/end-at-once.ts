import { loadLibc } from '../platform/libc.js'

/** What is used of a global that the types of Node leave to those of browsers. */
interface WebAssemblyGlobal {
  readonly WebAssembly: { readonly Memory: new (size: { initial: number }) => object }
}

/**
 * Ends this process without a teardown of its threads: with `code` where koffi is installed, else by
 * SIGKILL. Only for the main thread: elsewhere it would be the end of the host.
 */
export function endAtOnce(code: number): never {
  loadLibc()?.exitNow(code)
  process.kill(process.pid, 'SIGKILL')
  // The first process of a container is still here: the kernel drops the signals that it sends itself.
  exitByWasi(code)
  // By an instruction that faults, in the end, and nobody is spared that.
  process.abort()
}

/**
 * Ends the process by `exit` of the C library, to which WASI's `proc_exit` comes without a teardown of
 * threads. The destructors that it runs can fault beside a thread in native code: then that is the end.
 */
function exitByWasi(code: number): void {
  try {
    const { Memory } = (globalThis as unknown as WebAssemblyGlobal).WebAssembly
    const { WASI } = process.getBuiltinModule('node:wasi')
    const wasi = new WASI({ version: 'preview1', returnOnExit: false })
    // Nothing is run, but a memory is asked for.
    wasi.initialize({ exports: { memory: new Memory({ initial: 0 }) } })
    ;(wasi.wasiImport as { proc_exit(code: number): void }).proc_exit(code)
  } catch {
    // It is not allowed here, or a standard stream is closed.
  }
}
