import type { Timing, TrafficFigures } from '../../measurements/stretch-order.js'
import type { PlainOutputs } from '../../subjects/plain.js'

export interface CatalogueOrder extends Timing {
  /** Path of the model that all names have. */
  readonly source: string
  /** Folder of artifacts. */
  readonly cacheDir: string
  readonly threads: number
  /** Models that the runtime knows, the one in use among them. */
  readonly known: number
  /** One loop after another, with so many callers each. */
  readonly callers: readonly number[]
  readonly references: readonly PlainOutputs[]
}

export interface CatalogueOutcome {
  /** In the order of `callers`. */
  readonly loops: readonly TrafficFigures[]
  /** Models that are known in the end, and those of them that have threads. */
  readonly known: number
  readonly loaded: number
}
