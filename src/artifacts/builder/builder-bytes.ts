import type { ArtifactOptions } from '../../config/artifact-options.js'

const MEMORY_FACTOR = 6
/** Memory that an order takes beside the model, in bytes. */
export const SPARE_MEMORY_BYTES = 2 ** 30

/** Returns the limit on the builder's anonymous memory for a model whose files have `modelBytes`. */
export function builderBytes(options: ArtifactOptions | string, modelBytes: number | undefined): number {
  const { maxBuilderBytes } = typeof options === 'object' ? options : {}
  if (maxBuilderBytes !== undefined) return maxBuilderBytes
  // Without a cache the files of the model, and their sizes, are unknown.
  return modelBytes === undefined ? Number.POSITIVE_INFINITY : SPARE_MEMORY_BYTES + MEMORY_FACTOR * modelBytes
}
