import type { TrialOrder } from '../../src/protocol/builder/builder-messages.js'
import type { LoadedModel } from '../../src/protocol/loader.js'
import type { Proof } from '../../src/protocol/replica/proof.js'
import { byName } from '../../src/tensors/by-name.js'
import type { Tensor } from '../../src/tensors/tensor.js'
import { BatchProver } from '../batch-proof/batch-prover.js'
import { hazardsIn } from '../onnx/hazards-in.js'

/** After so much of the processor's time no further sizes are tried: that of some runs, if those may be long. */
const ENOUGH_MS = 1_000
const ENOUGH_RUNS = 10
/** Runs may take longer here than in the process that serves, which has measured the limit. */
const SLOWNESS = 4
const LEAST_RUN_MS = 100

/** Looks for the proof that requests can share runs, with rows unlike those that callers have sent too. */
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
    // A first run is slow for other reasons.
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

/** The processor's time of this process: how long others keep it waiting says nothing about the model. */
function clock(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
