/** The eight states of a component, which is an application, a model version or a resource. */
export const LIFECYCLE_STATES = [
  'uninitialized',
  'initializing',
  'ready',
  'starting',
  'running',
  'stopping',
  'stopped',
  'error',
] as const

/** The state of a component. */
export type LifecycleState = (typeof LIFECYCLE_STATES)[number]
