import type { Transitions } from '../../state/transitions.js'

/**
 * State of a replica. `leaving`: in its last task. `ending`: its session is being released. `quarantined`: in a
 * native call that has not returned. `gone`: its thread has ended.
 */
export type ReplicaState = 'starting' | 'idle' | 'busy' | 'leaving' | 'ending' | 'quarantined' | 'gone'

/**
 * The legal moves. `busy → idle` also stands for a pack that was not sent, `leaving → busy` for a replica that is
 * kept after all.
 */
export const REPLICA_TRANSITIONS: Transitions<ReplicaState> = {
  starting: ['idle', 'ending', 'quarantined', 'gone'],
  idle: ['busy', 'ending', 'gone'],
  busy: ['idle', 'leaving', 'quarantined', 'gone'],
  leaving: ['busy', 'ending', 'quarantined', 'gone'],
  ending: ['quarantined', 'gone'],
  quarantined: ['gone'],
  gone: [],
}
