import { errors } from '../../errors/errors.js'
import { type BuilderSubject, EMPTY_STEP } from '../../protocol/builder/builder-messages.js'
import { type AxisSet, axisSetsOf, type EmptyAxes } from '../../tensors/input/empty-axes.js'
import type { Signature } from '../../tensors/tensor.js'
import { BuilderDeath } from './builder-failure.js'
import type { BuilderProcess } from './builder-process.js'
import type { BuilderLimits } from './send-order.js'

/** Time for runs on made-up inputs, which may well keep a sound model busy for ever. */
const MADE_UP_MS = 5_000

/** After so many deaths over inputs without elements, what was not tried stays unknown. */
const MAX_DEATHS = 6

/** What the trial of a model has told. */
export interface Probed {
  readonly signature: Signature
  readonly emptyAxes: EmptyAxes
}

/**
 * Has a model loaded, and run on inputs that are made up, by the builder. Returns its signature; undefined if
 * it could not be loaded: that does no harm, may be for want of something there, and a replica says it better.
 * @throws ERR_MODEL_LOAD if it is the end of the builder; BuilderDeath if that came to a limit with a model
 * that need not pass (`isProbed`).
 */
export async function probe(
  builder: BuilderProcess,
  subject: BuilderSubject,
  limits: BuilderLimits,
  isProbed: boolean,
): Promise<Probed | undefined> {
  const fatal: AxisSet[] = []
  const limited = { ...limits, stepTimeoutMs: { run: MADE_UP_MS } }
  for (;;) {
    try {
      const reply = await builder.run({ kind: 'probe', ...subject, fatal }, limited)
      return reply.ok ? { signature: reply.signature, emptyAxes: reply.emptyAxes } : undefined
    } catch (error) {
      if (!(error instanceof BuilderDeath)) throw error
      const { signature } = error
      const set = signature === undefined ? undefined : emptySetOf(error.step, signature)
      if (signature !== undefined && set !== undefined) {
        // The model has passed, and only what has no elements is at fault.
        fatal.push(set)
        if (error.kind === 'fault' && fatal.length < MAX_DEATHS) continue
        return { signature, emptyAxes: { fatal, answered: [] } }
      }
      // That what was made up takes too long, or too much, says nothing about what callers will ask.
      if (signature !== undefined && error.kind !== 'fault') {
        return { signature, emptyAxes: { fatal, answered: [] } }
      }
      if (error.kind === 'limit' && !isProbed) throw error
      throw refusal(subject, error)
    }
  }
}

/** The set of axes that had size 0 in a step; undefined if it was another one. */
function emptySetOf(step: string, signature: Signature): AxisSet | undefined {
  if (!step.startsWith(EMPTY_STEP)) return undefined
  return axisSetsOf(signature)[Number(step.slice(EMPTY_STEP.length))]
}

/** As what the load of a model rejects that was the end of the builder. */
export function refusal({ source, model, version }: BuilderSubject, cause: BuilderDeath): Error {
  const what = cause.signature === undefined && cause.step !== 'original' ? 'loaded' : 'loaded and run'
  return new errors.ERR_MODEL_LOAD(
    `${source} was ${what} in a process of its own first (probe), and ${cause.message}; it is refused, since it would have been the end of this process`,
    { model, version, cause },
  )
}
