import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/**
 * Returns the features of the processor, by which kernels are chosen; the processor's name where the system does not
 * report features.
 */
export function cpuFeatures(): string {
  try {
    const text = readFileSync('/proc/cpuinfo', 'latin1')
    return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? cpuModel()
  } catch {
    return cpuModel()
  }
}

function cpuModel(): string {
  return cpus()[0]?.model ?? ''
}
