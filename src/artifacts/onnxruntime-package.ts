import { dirname, join } from 'node:path'
import semver from 'semver'
import { requireHere } from '../package-files.js'

/** From here on the addon can be opened by one thread after another. */
const REOPENS_SINCE = '1.25.0'

/**
 * Returns the version that replicas load: it is found from here too.
 * @throws if onnxruntime-node is not installed
 */
export function onnxRuntimeVersion(): string {
  const { version } = requireHere('onnxruntime-node/package.json') as { version: string }
  return version
}

let isKept = false

/**
 * Opens the addon of onnxruntime-node 1.24 on this thread, where it stays open, which costs 5 ms once. It registers
 * itself with Node when it is mapped. It is never unmapped, but Node forgets it with the last thread that has
 * it open, and no thread can open it any more ("Module did not self-register"): an unload would be the last.
 */
export function keepAddonOpen(): void {
  if (isKept) return
  isKept = true
  try {
    if (semver.gte(onnxRuntimeVersion(), REOPENS_SINCE)) return
    const folder = dirname(requireHere.resolve('onnxruntime-node/package.json'))
    const addon = join(folder, 'bin', 'napi-v6', process.platform, process.arch, 'onnxruntime_binding.node')
    process.dlopen({ exports: {} }, addon)
  } catch {
    // A replica will say why it cannot be opened.
  }
}
