import { errors } from '../errors.js'
import type { BuilderSubject } from '../protocol/builder-messages.js'
import type { Signature } from '../tensors/tensor.js'
import { BuilderDeath } from './builder-failure.js'
import type { BuilderProcess } from './builder-process.js'
import type { BuilderLimits } from './converse.js'

/** Time for runs on made-up inputs, which may well keep a sound model busy for ever. */
const MADE_UP_MS = 5_000

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
): Promise<Signature | undefined> {
  try {
    const limited = { ...limits, stepTimeoutMs: { run: MADE_UP_MS } }
    const reply = await builder.run({ kind: 'probe', ...subject }, limited)
    return reply.ok ? reply.signature : undefined
  } catch (error) {
    if (!(error instanceof BuilderDeath)) throw error
    // That what was made up takes too long, or too much, says nothing about what callers will ask.
    if (error.signature !== undefined && error.kind !== 'fault') return error.signature
    if (error.kind === 'limit' && !isProbed) throw error
    throw refusal(subject, error)
  }
}

/** As what the load of a model rejects that was the end of the builder. */
export function refusal({ source, model, version }: BuilderSubject, cause: BuilderDeath): Error {
  const what = cause.signature === undefined && cause.step !== 'original' ? 'loaded' : 'loaded and run'
  return new errors.ERR_MODEL_LOAD(
    `${source} was ${what} in a process of its own first (probe), and ${cause.message}; it is refused, since it would have been the end of this process`,
    { model, version, cause },
  )
}
