import type { ModelVersion } from '../version/model-version.js'

/** The destinations of one model's requests. A model never changes them but replaces the object, see `Model.route`. */
export interface Routes {
  /** The version for requests that name none; it can be cold. */
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

/** Returns the routes after `successor` was registered under the label of `old`. */
export function renewed(routes: Routes, old: ModelVersion, successor: ModelVersion): Routes {
  return routes.active === old ? { ...routes, active: successor } : routes
}

/** Returns the routes after `version` was forgotten. */
export function without(routes: Routes, version: ModelVersion): Routes {
  return routes.active === version ? { ...routes, active: undefined } : routes
}
