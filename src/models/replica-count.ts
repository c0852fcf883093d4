import type { ModelVersion } from './model-version.js'
import type { Serving } from './serving.js'

/** How many replicas a pool of the version has; `auto` is as many as keep the cores busy with all their threads. */
export function replicaCount(serving: Serving, version: ModelVersion): number {
  const setting = version.spec.config.replicas ?? serving.config.replicas
  if (setting !== 'auto') return setting
  return Math.max(1, Math.floor(serving.cores / threadsOfRun(serving, version)))
}

/** Threads inside one run; onnxruntime takes 0 for all cores. */
function threadsOfRun(serving: Serving, version: ModelVersion): number {
  const { sessionOptions, intraOpNumThreads } = version.spec.config
  const threads = sessionOptions?.intraOpNumThreads ?? intraOpNumThreads ?? serving.config.intraOpNumThreads
  return Number(threads) >= 1 ? Number(threads) : serving.cores
}
