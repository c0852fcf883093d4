import type { Logger } from '../telemetry/logger.js'
import type { TransitionListener } from './states.js'

/** One line for every move, by a logger of the component's own. */
export function logTransitions(logger: Logger, component: string): TransitionListener {
  const own = logger.child({ component })
  return ({ from, to, trigger, cause }) => {
    const level = to === 'error' ? 'error' : 'info'
    const fields = { from, to, trigger, ...(cause === undefined ? {} : { err: cause }) }
    own[level](fields, 'transition')
  }
}
