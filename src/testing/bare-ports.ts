import { GcBallast } from '../memory/gc-ballast.js'
import type { Ports } from '../models/context/ports.js'
import type { Logger } from '../telemetry/logger.js'
import { Shortfalls } from '../telemetry/shortfalls.js'

/** Ports that a machine without threads, files and processes leaves without effect. */
export type BarePorts = Pick<Ports, 'random' | 'trials' | 'allocator' | 'ballast' | 'shortfalls'>

/** Returns ports that run no trials, return no memory, and draw the same number each time. */
export function barePorts(logger: Logger): BarePorts {
  return {
    // Waits that are drawn are the same in every run of a test.
    random: () => 0.5,
    trials: { run: async () => ({ state: 'nowhere' }), close: () => undefined },
    allocator: {
      reclaim: async () => undefined,
      stats: () => ({
        isTrimmed: false,
        isThresholdSet: false,
        reason: 'a test runtime has no memory of its own',
      }),
      whileLoading: (_isMapped, load) => load(),
      noteShortfall: () => undefined,
    },
    ballast: new GcBallast(0),
    shortfalls: new Shortfalls(logger),
  }
}
