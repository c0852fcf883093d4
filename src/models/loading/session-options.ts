import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'

/** Returns the onnxruntime session options of a version: the defaults of this library under those of the model. */
export function sessionOptionsOf(context: ModelContext, version: VersionRecord): Record<string, unknown> {
  const { sessionOptions, executionProviders, intraOpNumThreads } = version.spec.config
  const threads = intraOpNumThreads ?? context.config.intraOpNumThreads
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // onnxruntime logs to stderr from native code, past every logger. Errors reach the caller anyway.
    logSeverityLevel: 4,
    ...(executionProviders === undefined ? {} : { executionProviders }),
    // Spinning threads cost five times the CPU on sparse traffic.
    ...(threads > 1 ? { extra: { session: { intra_op: { allow_spinning: '0' } } } } : {}),
    ...sessionOptions,
  }
}
