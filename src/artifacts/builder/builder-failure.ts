import type { RejectedForm } from '../../protocol/builder/builder-messages.js'
import type { Signature } from '../../tensors/tensor.js'

/**
 * `fault`: the process itself failed; `limit`: an order took too much time or memory; `killed`: a signal from
 * outside.
 */
export type DeathCause = 'fault' | 'limit' | 'killed'

/** A failure of the builder process to carry out an order. */
export class BuilderFailure extends Error {}

/** The builder process died, or was killed, during an order. */
export class BuilderDeath extends BuilderFailure {
  readonly kind: DeathCause
  /** The step that it had reached. */
  readonly step: string
  readonly rejected: readonly RejectedForm[]
  /** Signature of the model of the order, if the model could be loaded. */
  readonly signature: Signature | undefined

  constructor(
    kind: DeathCause,
    reason: string,
    { step, rejected, signature }: Pick<BuilderDeath, 'step' | 'rejected' | 'signature'>,
  ) {
    super(reason)
    this.name = 'BuilderDeath'
    this.kind = kind
    this.step = step
    this.rejected = rejected
    this.signature = signature
  }
}

/** The builder process cannot be started here, or can load no model. */
export class BuilderUnavailable extends BuilderFailure {}
