import type { RejectedForm } from '../../protocol/builder/builder-messages.js'
import type { Signature } from '../../tensors/tensor.js'

/** A fault of the process itself, an order that took too much time or memory, or a signal from outside. */
export type DeathCause = 'fault' | 'limit' | 'killed'

/** The builder does not do what it is told. */
export class BuilderFailure extends Error {}

/** The builder has died, or was killed, over an order. */
export class BuilderDeath extends BuilderFailure {
  readonly kind: DeathCause
  /** The step that it was in. */
  readonly step: string
  readonly rejected: readonly RejectedForm[]
  /** Signature of the model that it was to try, if that could be loaded. */
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

/** There is no builder: it cannot be started here. */
export class BuilderUnavailable extends BuilderFailure {}
