import { errors } from '../../errors/errors.js'
import { type BuilderSubject, EMPTY_STEP } from '../../protocol/builder/builder-messages.js'
import { type AxisSet, axisSetsOf, type EmptyAxes } from '../../tensors/input/empty-axes.js'
import type { Signature } from '../../tensors/tensor.js'
import { BuilderDeath } from './builder-failure.js'
import type { BuilderProcess } from './builder-process.js'
import type { BuilderLimits } from './send-order.js'

/** Time limit of a run on generated inputs, which may keep a sound model busy for ever. */
const MADE_UP_MS = 5_000

/** Number of crashes on inputs without elements after which the remaining sets of axes stay unknown. */
const MAX_DEATHS = 6

/** Facts about a model that its probe found. */
export interface Probed {
  readonly signature: Signature
  readonly emptyAxes: EmptyAxes
}

/**
 * Loads a model in the builder process and runs it on generated inputs. Returns undefined if it could not be
 * loaded: that does no harm, the builder may lack something, and a replica reports it better.
 * @throws ERR_MODEL_LOAD if the model crashes the builder; BuilderDeath if the builder exceeded a limit with
 * a model that need not pass (`isProbed` is false).
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
        // The model has passed; only inputs without elements crash it.
        fatal.push(set)
        if (error.kind === 'fault' && fatal.length < MAX_DEATHS) continue
        return { signature, emptyAxes: { fatal, answered: [] } }
      }
      // A limit exceeded on generated inputs says nothing about the inputs of requests.
      if (signature !== undefined && error.kind !== 'fault') {
        return { signature, emptyAxes: { fatal, answered: [] } }
      }
      if (error.kind === 'limit' && !isProbed) throw error
      throw refusal(subject, error)
    }
  }
}

/** Returns the set of axes that had size 0 in a step; undefined for a step of another kind. */
function emptySetOf(step: string, signature: Signature): AxisSet | undefined {
  if (!step.startsWith(EMPTY_STEP)) return undefined
  return axisSetsOf(signature)[Number(step.slice(EMPTY_STEP.length))]
}

/** Returns the error with which the load of a model rejects that crashed the builder or exceeded a limit there. */
export function refusal({ source, model, version }: BuilderSubject, cause: BuilderDeath): Error {
  const what = cause.signature === undefined && cause.step !== 'original' ? 'loaded' : 'loaded and run'
  return new errors.ERR_MODEL_LOAD(
    `${source} was ${what} in a separate process first (probe), and ${cause.message}; the model was rejected, since it could crash or block this process`,
    { model, version, cause },
  )
}
