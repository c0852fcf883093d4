/** The eight states of every component: application, model version, resource. */
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

export type LifecycleState = (typeof LIFECYCLE_STATES)[number]
