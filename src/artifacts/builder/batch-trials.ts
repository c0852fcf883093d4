import type { Clock } from '../../platform/clock.js'
import type { BuilderSubject } from '../../protocol/builder/builder-messages.js'
import { successOf } from '../../protocol/failure.js'
import type { ProofTrial, Tried } from '../../protocol/replica/proof.js'
import { BuilderDeath, BuilderUnavailable } from './builder-failure.js'
import { BuilderProcess } from './builder-process.js'
import type { BuilderEntry } from './child-processes.js'
import type { BuilderLimits } from './send-order.js'

/** Tries batches in a separate process, so that no load waits for them. */
export class BatchTrials {
  readonly #process: BuilderProcess

  constructor(clock: Clock, entry: BuilderEntry) {
    this.#process = new BuilderProcess(clock, entry)
  }

  async run(subject: BuilderSubject, trial: ProofTrial, limits: BuilderLimits): Promise<Tried> {
    try {
      return successOf(await this.#process.run({ kind: 'trial', ...subject, trial }, limits)).proof
    } catch (error) {
      if (error instanceof BuilderUnavailable) return { state: 'nowhere' }
      if (!(error instanceof BuilderDeath) || error.kind !== 'fault') return { state: 'unknown' }
      const reason = `batches of perturbed rows were tried in a separate process, and ${error.message}`
      return { state: 'refused', reason }
    }
  }

  /** Ends the process, even in the middle of a trial. */
  close(): void {
    this.#process.close()
  }
}
