import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

/** The machine and the versions on which the figures were measured. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly os: string
  readonly node: string
  readonly onnxruntime: string
  /** Average number of runnable processes in the last minute, including those of others. */
  readonly loadAverage: number
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${process.platform} ${process.arch} ${release()}`,
    node: process.version,
    onnxruntime: onnxruntimeVersion(),
    loadAverage: loadavg()[0] ?? 0,
  }
}

/** Returns the version from the manifest, since importing the library would load its addon on this thread. */
function onnxruntimeVersion(): string {
  const require = createRequire(import.meta.url)
  const path = require.resolve('onnxruntime-node/package.json')
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}
