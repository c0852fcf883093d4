import type { ModelVersion } from '../version/model-version.js'

/** The destinations of one model's requests. They never change: a model replaces them as a whole, see `Model.route`. */
export interface Routes {
  /** The version of plain requests; it can be cold. */
  readonly active: ModelVersion | undefined
  /** The label of the version that was active before, for a rollback. */
  readonly previous: string | undefined
}

export const NO_ROUTES: Routes = { active: undefined, previous: undefined }

/** Returns the routes after a promotion of `next`. */
export function promoted(routes: Routes, next: ModelVersion): Routes {
  const { active } = routes
  if (active === next) return routes
  return { active: next, previous: active?.spec.version ?? routes.previous }
}

/** Returns the routes after `known` was made known anew as `successor`, under the same label. */
export function renewed(routes: Routes, known: ModelVersion, successor: ModelVersion): Routes {
  return routes.active === known ? { ...routes, active: successor } : routes
}

/** Returns the routes after `version` was forgotten. */
export function without(routes: Routes, version: ModelVersion): Routes {
  return routes.active === version ? { ...routes, active: undefined } : routes
}
