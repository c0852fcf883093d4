import type { LoadedModel, LoaderContext, Outputs, Signature, Tensor } from 'tbcoin-engine'
import { readEnsemble, scoresOf } from './ensemble.js'

/**
 * A loader for classifiers of boosted decision trees, kept as JSON (see `ensemble.ts`).
 * It runs in the worker threads: whatever it throws reaches the caller of `loadModel` as
 * the cause of an ERR_MODEL_LOAD. It calls no native addon, so it has no use for
 * `context.native`.
 */
export async function load(context: LoaderContext): Promise<LoadedModel> {
  const ensemble = await readEnsemble(context.source)
  const { features, labels, trees } = ensemble
  context.log('debug', 'tree ensemble read', { trees: trees.length, labels: labels.length })
  const signature: Signature = {
    inputs: [{ name: 'features', type: 'float32', dims: ['batch', features.length] }],
    outputs: [
      { name: 'label', type: 'string', dims: ['batch'] },
      { name: 'scores', type: 'float32', dims: ['batch', labels.length] },
    ],
  }
  return {
    signature,
    run(feeds, wanted) {
      // The runtime has checked type and shape against the signature.
      const { data, dims } = feeds.features as Tensor<'float32'>
      const batch = dims[0] as number
      // Fresh for each run: its buffer is transferred to the main thread with the answer.
      const scores = new Float32Array(batch * labels.length)
      const label: string[] = []
      for (let row = 0; row < batch; row++) {
        const own = scores.subarray(row * labels.length, (row + 1) * labels.length)
        scoresOf(ensemble, data, row * features.length, own)
        label.push(labels[own.indexOf(Math.max(...own))] as string)
      }
      const outputs: Outputs = {
        label: { type: 'string', dims: [batch], data: label },
        scores: { type: 'float32', dims: [batch, labels.length], data: scores },
      }
      if (wanted === undefined) return outputs
      return Object.fromEntries(wanted.map((name) => [name, outputs[name] as Tensor]))
    },
  }
}
