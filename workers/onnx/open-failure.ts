import { messageOf } from '../../src/errors/errors.js'

/** The machine on which onnxruntime-node was opened. */
export interface Machine {
  readonly platform: string
  readonly arch: string
  /**
   * Returns true if the C library is musl. The report with this fact is slow, so this is called after a
   * failure only.
   */
  isMusl(): boolean
}

export const thisMachine: Machine = {
  platform: process.platform,
  arch: process.arch,
  isMusl() {
    if (process.platform !== 'linux') return false
    const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
    return header.glibcVersionRuntime === undefined
  },
}

/** Platforms for which every supported version has a binary. */
const WITH_BINARY = ['darwin-arm64', 'linux-arm64', 'linux-x64', 'win32-arm64', 'win32-x64']

/** Returns the reason why onnxruntime-node could not be opened, which failed with `cause`, and a remedy. */
export function openFailureReason(cause: unknown, machine: Machine = thisMachine): string {
  const place = `${machine.platform}-${machine.arch}`
  if (machine.isMusl()) {
    return `onnxruntime-node has no binary for ${place} with musl, as Alpine has it; use an image with glibc, such as node:20-slim`
  }
  const message = messageOf(cause)
  if (isNotFound(cause) && !message.includes('onnxruntime_binding.node')) {
    return 'onnxruntime-node cannot be found; install it beside tbcoin-engine: npm install onnxruntime-node'
  }
  if (!WITH_BINARY.includes(place)) {
    const node = place === 'darwin-x64' ? ', which on a Mac with Apple silicon is Node for arm64' : ''
    return `onnxruntime-node has no binary for ${place}, only for ${WITH_BINARY.join(', ')}; use one of these${node}`
  }
  if (isNotFound(cause)) {
    return `the binary of onnxruntime-node for ${place} is missing; install the package again, or have the tool that copied it copy its folder \`bin\` too`
  }
  if ((cause as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED') {
    return `onnxruntime-node cannot be opened: ${message}; start Node with --allow-addons, and without --no-addons`
  }
  // `onnxRuntime.keepOpen` is too late if another thread has opened the addon before.
  if (message.includes('did not self-register')) {
    return 'onnxruntime-node cannot be opened: a thread that had it open has ended, and Node cannot open version 1.24 again; import it on the main thread first, or use 1.25 or later'
  }
  return `onnxruntime-node cannot be opened: ${message}; check that its native files, and the system libraries they need, are complete`
}

function isNotFound(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
}
