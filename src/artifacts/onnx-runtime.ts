import { dirname, join } from 'node:path'
import semver from 'semver'
import { requireHere } from '../platform/package-files.js'
import { processWide } from '../platform/process-wide.js'

/** First version whose addon can be opened by one thread after another. */
const REOPENS_SINCE = '1.25.0'

/** The package onnxruntime-node, which replicas load, seen from the main thread. */
export const onnxRuntime = {
  /** Returns the installed version. @throws if the package is not installed */
  version(): string {
    return (requireHere('onnxruntime-node/package.json') as { version: string }).version
  },

  /**
   * Opens the addon of onnxruntime-node 1.24 on this thread, where it stays open; that costs 5 ms once. The
   * addon registers itself with Node when it is mapped, and is never unmapped. But Node forgets it with the
   * last thread that has it open, and then no thread can open it again ("Module did not self-register"), so
   * that no model could be loaded after the last one was unloaded.
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
      // A replica that cannot open it reports the reason.
    }
  },

  /**
   * Never called: file tracers (Next.js, Vercel) include packages that they see imported, and do not see
   * replicas.
   */
  load: (): Promise<unknown> => import('onnxruntime-node'),
}
