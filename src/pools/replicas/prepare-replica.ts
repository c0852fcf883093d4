import { errors } from '../../errors/errors.js'
import { decodeError } from '../../protocol/error-codec.js'
import { type Failure, successOf } from '../../protocol/failure.js'
import type { RunDone, RunResult } from '../../protocol/replica/replica-replies.js'
import { RecycledBuffers } from '../../tensors/recycled-buffers.js'
import type { Signature } from '../../tensors/tensor.js'
import { OutputDecoder } from '../packs/output-decoder.js'
import { aloneRun, writePack } from '../packs/write-pack.js'
import type { PoolSettings, PoolSource } from '../settings/pool-settings.js'
import type { Replica } from './replica.js'

/**
 * Loads the model in a new replica and runs the sample, unless there is none or `isUnwanted()`; resolves with the
 * model's signature.
 */
export async function prepareReplica(
  replica: Replica,
  { model, version, loadTimeoutMs, ballast }: PoolSettings,
  { task, warmUp, onLoaded }: PoolSource,
  isUnwanted: () => boolean,
): Promise<Signature> {
  const loaded = successOf(await replica.load(task, loadTimeoutMs))
  onLoaded?.(loaded)
  const { signature } = loaded
  if (warmUp === undefined || isUnwanted()) return signature
  const run = aloneRun(warmUp.inputs(signature))
  const pack = writePack(signature, [run], undefined, new RecycledBuffers(), 0)
  const reply = await replica.warmUp(pack, loadTimeoutMs)
  const result = reply.ok ? (reply.results[0] as RunResult) : reply
  if (!('answer' in result)) {
    const cause = decodeError((result as Failure).error)
    throw new errors.ERR_WARMUP(`the sample of ${model}@${version} could not be run: ${cause.message}`, {
      model,
      version,
      cause,
    })
  }
  const { buffer } = reply as RunDone
  warmUp.check(new OutputDecoder(signature, ballast).single(result.answer, undefined, buffer))
  return signature
}
