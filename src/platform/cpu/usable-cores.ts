import { availableParallelism } from 'node:os'
import { cpuQuota } from './cpu-quota.js'
import { processCount } from './process-count.js'

/**
 * Returns the number of cores that this process may keep busy: at most those of its CPU affinity and of its control
 * groups' quota, where a fraction of a core counts as one. Node counts the affinity, and from libuv 1.49 on (not yet
 * in Node 20) the quota too, rounded down.
 * @param root the folder that stands for `/`.
 */
export function usableCores(root = '/'): number {
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(cpuQuota(root))))
}

/** Returns this process's share of the usable cores, in whole cores, at least one. */
export function coresPerProcess(processes: number | 'auto'): number {
  const sharers = processes === 'auto' ? processCount() : processes
  return Math.max(1, Math.floor(usableCores() / sharers))
}
