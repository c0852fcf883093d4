import { dirname, join } from 'node:path'
import semver from 'semver'
import { requireHere } from '../platform/package-files.js'
import { processWide } from '../platform/process-wide.js'

/** From here on the addon can be opened by one thread after another. */
const REOPENS_SINCE = '1.25.0'

/** The package onnxruntime-node, which replicas load: it is found from here too. */
export const onnxRuntime = {
  /** @throws if it is not installed */
  version(): string {
    return (requireHere('onnxruntime-node/package.json') as { version: string }).version
  },

  /**
   * Opens the addon of onnxruntime-node 1.24 on this thread, where it stays open, which costs 5 ms once. It registers
   * itself with Node when it is mapped. It is never unmapped, but Node forgets it with the last thread that has
   * it open, and no thread can open it any more ("Module did not self-register"): an unload would be the last.
   */
  keepOpen(): void {
    const { looked } = processWide('onnxruntime', () => ({ looked: new Set<string>() }))
    try {
      const folder = dirname(requireHere.resolve('onnxruntime-node/package.json'))
      if (looked.has(folder)) return
      looked.add(folder)
      if (semver.gte(onnxRuntime.version(), REOPENS_SINCE)) return
      const addon = join(folder, 'bin', 'napi-v6', process.platform, process.arch, 'onnxruntime_binding.node')
      process.dlopen({ exports: {} }, addon)
    } catch {
      // A replica will say why it cannot be opened.
    }
  },

  /** Never called: file tracers (Next.js, Vercel) take along what they see imported, and they do not see replicas. */
  load: (): Promise<unknown> => import('onnxruntime-node'),
}
