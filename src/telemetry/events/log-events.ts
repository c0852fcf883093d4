import type { Logger } from '../logger.js'
import type { EngineSubscriber } from './event-map.js'
import { componentOf, type ModelSubject } from './subject.js'

/**
 * Returns the subscriber that writes the log line of each event. Promotions and closes have no line of their own,
 * because their transitions are logged; decisions on artifacts have none, because the artifact builder logs them.
 */
export function logEvents(logger: Logger): EngineSubscriber {
  return {
    transition: ({ subject, from, to, trigger, cause }) => {
      const err = cause === undefined ? {} : { err: cause }
      const fields = { component: componentOf(subject), from, to, trigger, ...err }
      logger[to === 'error' ? 'error' : 'info'](fields, 'transition')
    },
    replicaExited: ({ subject, cause, restartInMs }) => {
      logger.warn({ ...poolOf(subject), err: cause, restartInMs }, 'replica exited')
    },
    replicaStuck: ({ subject, threadId, runningMs }) => {
      const fields = { ...poolOf(subject), threadId, runningMs }
      logger.error(fields, 'run exceeded stuckAfterMs; replica quarantined')
    },
    batchingDisabled: ({ subject, reason }) => {
      logger.error(
        { ...poolOf(subject), reason },
        'batching disabled: a batched result differed from the unbatched one',
      )
    },
  }
}

/** Returns the fields that all log lines of a pool share. */
function poolOf({ model, version }: ModelSubject): Record<string, unknown> {
  return { component: 'pool', model, version }
}
