import type { Clock } from '../../platform/clock.js'
import type { Tensor } from '../../tensors/tensor.js'
import { readReply } from '../packs/read-reply.js'
import { aloneRun } from '../packs/write-pack.js'
import type { ReplicaSet } from '../replicas/replica-set.js'
import type { BackgroundProof } from './background-proof.js'
import type { PackAssembler } from './pack-assembler.js'

/** Looks for the proof of batching with an input known to be valid, before the pool serves requests. */
export async function proveAtStart(
  clock: Clock,
  replicas: ReplicaSet,
  packs: PackAssembler,
  backgroundProof: BackgroundProof,
  inputs: readonly Tensor[],
): Promise<void> {
  const replica = replicas.idle.first()
  if (replica === undefined) return
  replicas.idle.assign(replica)
  try {
    const task = packs.write([aloneRun(inputs, 'typical')], 1)
    const reply = await replica.run(clock.now(), task)
    replica.noteBackgroundWork(readReply(reply, 1).hasBackgroundWork)
    await backgroundProof.finish(replica)
  } finally {
    replicas.onTaskEnd(replica)
  }
}
