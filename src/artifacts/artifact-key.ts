import { createHash } from 'node:crypto'
import { cpuFeatures } from '../platform/cpu/cpu-features.js'
import type { FileHash } from '../protocol/builder/builder-messages.js'
import { isOnCpu, providersIn, servingProvider } from '../protocol/providers.js'
import { onnxRuntime } from './onnx-runtime.js'

/**
 * What an artifact depends on: the content of the model's files, onnxruntime's version, what the
 * processor can do, since kernels are chosen by it, and how the model is loaded.
 */
export function keyOf(
  files: readonly FileHash[],
  machine: readonly string[],
  sessionOptions: Readonly<Record<string, unknown>>,
): string {
  const parts = [files.map(({ sha256 }) => sha256), machine, inOrder(sessionOptions)]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** Why a model that is loaded so has no artifact. */
export function reasonForNoArtifact(sessionOptions: Readonly<Record<string, unknown>>): string | undefined {
  if (sessionOptions.optimizedModelFilePath !== undefined) {
    return '`sessionOptions.optimizedModelFilePath` is set'
  }
  const providers = providersIn(sessionOptions)
  return isOnCpu(providers) ? undefined : `it is to be run by ${servingProvider(providers)}, not by the CPU`
}

/**
 * Returns what artifacts depend on of this machine and of what is installed.
 * @throws if onnxruntime-node is not installed
 */
export function machineTraits(): readonly string[] {
  return [process.platform, process.arch, onnxRuntime.version(), cpuFeatures()]
}

/** With the fields of objects in the order of their names. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return fields.map(([name, field]) => [name, inOrder(field)])
}
