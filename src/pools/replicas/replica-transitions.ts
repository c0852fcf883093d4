import type { Transitions } from '../../state/transitions.js'

/**
 * `leaving` is in its last task, `ending` gives its session back, `quarantined` is in a native call that has
 * not returned, and the thread of one that is `gone` has ended.
 */
export type ReplicaState = 'starting' | 'idle' | 'busy' | 'leaving' | 'ending' | 'quarantined' | 'gone'

/** `busy → idle` is also a pack that came to nothing, `leaving → busy` a replica that is kept after all. */
export const REPLICA_TRANSITIONS: Transitions<ReplicaState> = {
  starting: ['idle', 'ending', 'quarantined', 'gone'],
  idle: ['busy', 'ending', 'gone'],
  busy: ['idle', 'leaving', 'quarantined', 'gone'],
  leaving: ['busy', 'ending', 'quarantined', 'gone'],
  ending: ['quarantined', 'gone'],
  quarantined: ['gone'],
  gone: [],
}
