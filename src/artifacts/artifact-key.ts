import { createHash } from 'node:crypto'
import { cpuFeatures } from '../platform/cpu/cpu-features.js'
import type { FileHash } from '../protocol/builder/builder-messages.js'
import { isOnCpu, providersIn, servingProvider } from '../protocol/providers.js'
import { onnxRuntime } from './onnx-runtime.js'

/**
 * Returns the key of an artifact. It depends on the content of the model's files, onnxruntime's version, the
 * features of the processor, by which kernels are chosen, and the session options.
 */
export function keyOf(
  files: readonly FileHash[],
  machine: readonly string[],
  sessionOptions: Readonly<Record<string, unknown>>,
): string {
  const parts = [files.map(({ sha256 }) => sha256), machine, inOrder(sessionOptions)]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** Returns the reason why a model with these session options has no artifact; undefined if it can have one. */
export function reasonForNoArtifact(sessionOptions: Readonly<Record<string, unknown>>): string | undefined {
  if (sessionOptions.optimizedModelFilePath !== undefined) {
    return '`sessionOptions.optimizedModelFilePath` is set'
  }
  const providers = providersIn(sessionOptions)
  return isOnCpu(providers) ? undefined : `the model runs on ${servingProvider(providers)}, not on the CPU`
}

/**
 * Returns the traits of this machine and of the installed packages that artifacts depend on.
 * @throws if onnxruntime-node is not installed
 */
export function machineTraits(): readonly string[] {
  return [process.platform, process.arch, onnxRuntime.version(), cpuFeatures()]
}

/** Returns `value` with the fields of its objects sorted by name. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return fields.map(([name, field]) => [name, inOrder(field)])
}
