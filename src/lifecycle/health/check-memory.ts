import { getHeapStatistics } from 'node:v8'
import { memoryLimit } from '../../platform/memory-limit.js'
import type { HealthAnswer } from './health-check.js'

/** Share of a limit above which an allocation may fail, or the kernel may kill this process. */
const MAX_MEMORY_SHARE = 0.95

/** Checks resident memory against the memory limit of the process, and V8's heap against its limit. */
export function checkMemory(): HealthAnswer {
  const residentBytes = process.memoryUsage.rss()
  const limitBytes = memoryLimit()
  const { used_heap_size: heapBytes, heap_size_limit: heapLimitBytes } = getHeapStatistics()
  const detail = { residentBytes, limitBytes, heapBytes, heapLimitBytes }
  const full = [
    residentBytes > limitBytes * MAX_MEMORY_SHARE ? 'memory' : undefined,
    heapBytes > heapLimitBytes * MAX_MEMORY_SHARE ? 'the JavaScript heap' : undefined,
  ].filter((part) => part !== undefined)
  if (full.length === 0) return { status: 'healthy', detail }
  return {
    status: 'unhealthy',
    reason: `${full.join(' and ')} is full to more than ${MAX_MEMORY_SHARE * 100} %`,
    detail,
  }
}
