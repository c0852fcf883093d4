/**
 * Returns the session options with which an artifact is loaded instead of the original: it is optimised already, and
 * what is optimised for the machine must not be optimised again.
 */
export function artifactOptions(
  sessionOptions: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return { ...sessionOptions, graphOptimizationLevel: 'disabled' }
}
