import type { ArtifactOptions } from '../../config/artifact-options.js'

const MEMORY_FACTOR = 6
/** What an order takes beside the model. */
export const SPARE_MEMORY_BYTES = 2 ** 30

/** Returns how much memory behind no file the builder may take for a model whose files have `modelBytes`. */
export function builderBytes(options: ArtifactOptions | string, modelBytes: number | undefined): number {
  const { maxBuilderBytes } = typeof options === 'object' ? options : {}
  if (maxBuilderBytes !== undefined) return maxBuilderBytes
  // Without a cache nobody knows which files belong to it, and how large they are.
  return modelBytes === undefined ? Number.POSITIVE_INFINITY : SPARE_MEMORY_BYTES + MEMORY_FACTOR * modelBytes
}
