import { model, node, value } from './onnx-builder.js'

type Bytes = Uint8Array<ArrayBuffer>

// Models whose inputs or outputs are sequences, maps, optionals, strings, or of types that onnxruntime-node cannot
// pass. Comments begin with the signature of the returned model.

/** x float32[n] -> parts, a sequence of tensors: it loads, but onnxruntime-node cannot return the value. */
export function sequenceOutput(): Bytes {
  return model({
    inputs: [value('x', 'float32', ['n'])],
    outputs: [{ name: 'parts', type: 'float32', dims: [1], container: 'sequence' }],
    nodes: [node('SplitToSequence', ['x'], ['parts'], { axis: 0 })],
  })
}

/**
 * x float32[n,2] -> label int64[n], probabilities: a map from label to probability for each row. The label
 * is 7 where the first feature is the larger one, else 9. Scikit-learn's classifiers are exported like this.
 */
export function labelAndMaps(): Bytes {
  return model({
    mlOpset: 1,
    inputs: [value('x', 'float32', ['n', 2])],
    outputs: [
      value('label', 'int64', ['n']),
      { name: 'probabilities', type: 'float32', dims: [], container: 'maps' },
    ],
    nodes: [
      {
        ...node('LinearClassifier', ['x'], ['label', 'scores'], {
          classlabels_ints: [7, 9],
          coefficients: { floats: [1, 0, 0, 1] },
          intercepts: { floats: [0, 0] },
          post_transform: 'SOFTMAX',
        }),
        domain: 'ai.onnx.ml',
      },
      {
        ...node('ZipMap', ['scores'], ['probabilities'], { classlabels_int64s: [7, 9] }),
        domain: 'ai.onnx.ml',
      },
    ],
  })
}

/** x float32[n] -> y = x, twice = 2 x, and x as a sequence and as an optional between them. */
export function tensorsAmongOthers(): Bytes {
  return model({
    inputs: [value('x', 'float32', ['n'])],
    outputs: [
      { name: 'parts', type: 'float32', dims: ['n'], container: 'sequence' },
      value('y', 'float32', ['n']),
      { name: 'maybe', type: 'float32', dims: ['n'], container: 'optional' },
      value('twice', 'float32', ['n']),
    ],
    nodes: [
      node('SequenceConstruct', ['x'], ['parts']),
      node('Identity', ['x'], ['y']),
      node('Optional', ['x'], ['maybe']),
      node('Add', ['x', 'x'], ['twice']),
    ],
  })
}

/** x float32[n] -> y = x, half: x as bfloat16, which onnxruntime-node rejects when it loads the model. */
export function bfloat16Output(): Bytes {
  return model({
    inputs: [value('x', 'float32', ['n'])],
    outputs: [value('y', 'float32', ['n']), value('half', 'bfloat16', ['n'])],
    nodes: [node('Identity', ['x'], ['y']), node('Cast', ['x'], ['half'], { to: 16 })],
  })
}

/** x float32[n] -> y = x, small: x as int4, of which onnxruntime-node knows only the name. */
export function int4Output(): Bytes {
  return model({
    opset: 21,
    irVersion: 10,
    inputs: [value('x', 'float32', ['n'])],
    outputs: [value('y', 'float32', ['n']), value('small', 'int4', ['n'])],
    nodes: [node('Identity', ['x'], ['y']), node('Cast', ['x'], ['small'], { to: 22 })],
  })
}

/** x optional(float32[n]) -> present bool[]: an input that is not a tensor. */
export function optionalInput(): Bytes {
  return model({
    inputs: [{ name: 'x', type: 'float32', dims: ['n'], container: 'optional' }],
    outputs: [value('present', 'bool', [])],
    nodes: [node('OptionalHasElement', ['x'], ['present'])],
  })
}

/** x string[n] -> y string[2n]: x twice. The operator needs no locale, which a container may lack. */
export function stringInOut(): Bytes {
  return model({
    inputs: [value('x', 'string', ['n'])],
    outputs: [value('y', 'string', ['twice'])],
    nodes: [node('Concat', ['x', 'x'], ['y'], { axis: 0 })],
  })
}
