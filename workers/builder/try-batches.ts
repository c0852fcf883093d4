import type { TrialOrder } from '../../src/protocol/builder/builder-messages.js'
import type { LoadedModel } from '../../src/protocol/loader.js'
import type { Proof } from '../../src/protocol/replica/proof.js'
import { byName } from '../../src/tensors/by-name.js'
import type { Tensor } from '../../src/tensors/tensor.js'
import { BatchProver } from '../batch-proof/batch-prover.js'
import { hazardsIn } from '../onnx/hazards-in.js'

/** Processor time after which no further sizes are tried. */
const ENOUGH_MS = 1_000
/** The same as a number of the longest allowed runs; the longer of the two applies. */
const ENOUGH_RUNS = 10
/** Factor by which runs may take longer here than in the process that serves, which has measured the limit. */
const SLOWNESS = 4
const LEAST_RUN_MS = 100

/** Searches for the proof that requests can share runs, with perturbed rows too. */
export async function tryBatches(
  { signature, run }: LoadedModel,
  { source, trial }: TrialOrder,
): Promise<Proof> {
  const names = signature.inputs.map(({ name }) => name)
  const runOnce = async (inputs: readonly Tensor[]): Promise<Tensor[]> => {
    const named = await run(byName(names, inputs), undefined)
    return signature.outputs.map(({ name }) => named[name] as Tensor)
  }
  const prover = new BatchProver(
    signature,
    runOnce,
    hazardsIn(source, signature, () => undefined),
    clock,
  )
  for (const inputs of trial.samples) {
    // The first run is not measured, since it is slower than the others.
    await runOnce(inputs)
    const startedAtMs = clock()
    const outputs = await runOnce(inputs)
    prover.offer(inputs, outputs, clock() - startedAtMs, trial.isTypical)
  }
  prover.start({ ...trial.order, rows: 'all' })
  const maxRunMs = Math.max(LEAST_RUN_MS, SLOWNESS * trial.maxRunMs)
  const enoughMs = Math.max(ENOUGH_MS, ENOUGH_RUNS * trial.maxRunMs)
  for (;;) {
    const proof = await prover.advance(clock() + enoughMs, maxRunMs)
    if (proof !== undefined && proof.state !== 'proving') return proof
  }
}

/** Returns the processor time of this process in milliseconds; waiting for other processes does not count. */
function clock(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
