import { totalmem } from 'node:os'

/** What this process may use at most: the limit of its control group, else what the machine has. */
export function memoryLimit(): number {
  const constrainedBytes = process.constrainedMemory()
  return constrainedBytes > 0 ? Math.min(constrainedBytes, totalmem()) : totalmem()
}
