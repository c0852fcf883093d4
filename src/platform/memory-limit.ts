import { totalmem } from 'node:os'

/**
 * Returns the maximum number of bytes that this process may use: the limit of its control group, else the memory of
 * the machine.
 */
export function memoryLimit(): number {
  const constrainedBytes = process.constrainedMemory()
  return constrainedBytes > 0 ? Math.min(constrainedBytes, totalmem()) : totalmem()
}
