import type { ModelVersion } from './model-version.js'
import type { Serving } from './serving.js'

/** What a version's sessions are made with. */
export function sessionOptionsOf(serving: Serving, version: ModelVersion): Record<string, unknown> {
  const { sessionOptions, executionProviders, intraOpNumThreads } = version.spec.config
  const threads = intraOpNumThreads ?? serving.config.intraOpNumThreads
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // onnxruntime writes to stderr from native code, past every logger; errors reach the caller anyway.
    logSeverityLevel: 4,
    ...(executionProviders === undefined ? {} : { executionProviders }),
    // Spinning threads cost five times the CPU on sparse traffic.
    ...(threads > 1 ? { extra: { session: { intra_op: { allow_spinning: '0' } } } } : {}),
    ...sessionOptions,
  }
}
