import { availableParallelism } from 'node:os'
import { cpuQuota } from './cpu-quota.js'
import { processCount } from './process-count.js'

/**
 * How many cores this process may keep busy: no more than its CPU affinity has and its
 * control groups' quota allows, a fraction of a core counting as one. Node counts the
 * affinity, and from libuv 1.49 on (not yet in Node 20) the quota too, rounded down.
 * @param root the folder that stands for `/`.
 */
export function usableCores(root = '/'): number {
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(cpuQuota(root))))
}

/** This process's part of them, in whole cores, at least one. */
export function coresPerProcess(processes: number | 'auto'): number {
  const sharers = processes === 'auto' ? processCount() : processes
  return Math.max(1, Math.floor(usableCores() / sharers))
}
