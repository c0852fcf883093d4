import type { ArtifactForm } from '../protocol/builder/builder-messages.js'
import type { Prepared } from './artifacts.js'

/** The form in which a version is loaded. */
export interface ArtifactStats {
  /**
   * `prepacked` or `external` for an artifact, whose weights all replicas share; `original` for the model's
   * own file.
   */
  readonly form: ArtifactForm | 'original'
  /** The reason why the form is `original`; undefined if it is not. */
  readonly reason: string | undefined
}

export function artifactStatsOf({ entry, reason }: Prepared): ArtifactStats {
  return { form: entry?.form ?? 'original', reason }
}
