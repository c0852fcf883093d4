import type { ArtifactForm } from '../protocol/builder/builder-messages.js'
import type { Prepared } from './artifacts.js'

/** In which form a version is loaded. */
export interface ArtifactStats {
  readonly form: ArtifactForm | 'original'
  /** Why it is the original, or what is wrong with better forms; undefined if nothing is. */
  readonly reason: string | undefined
}

export function artifactStatsOf({ entry, reason }: Prepared): ArtifactStats {
  return { form: entry?.form ?? 'original', reason }
}
