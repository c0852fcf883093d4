import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** Returns what the processor can do, by which kernels are chosen; its name where that is not told. */
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
