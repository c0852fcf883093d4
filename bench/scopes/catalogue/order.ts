import type { Timing, TrafficFigures } from '../../load/traffic-figures.js'
import type { PlainOutputs } from '../../subjects/plain.js'

export interface CatalogueOrder extends Timing {
  /** Path of the model file that every name loads. */
  readonly source: string
  /** Artifact folder of the runtime. */
  readonly cacheDir: string
  readonly threads: number
  /** Number of known models, including the one in use. */
  readonly known: number
  /** Number of callers of each closed loop; the loops run one after another. */
  readonly callers: readonly number[]
  readonly references: readonly PlainOutputs[]
}

export interface CatalogueOutcome {
  /** Figures in the order of `callers`. */
  readonly loops: readonly TrafficFigures[]
  /** Number of models that are known at the end. */
  readonly known: number
  /** Number of models that have a pool at the end. */
  readonly loaded: number
}
