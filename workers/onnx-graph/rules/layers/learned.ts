import { freshSize, type Op, type Outcome } from '../../trace/op.js'
import { one, type Size } from '../../trace/size.js'
import {
  isDependent,
  isTensor,
  placed,
  type RefusedTrace,
  shared,
  type TensorTrace,
} from '../../trace/trace.js'
import { rulesOf } from '../rules-of.js'

/** Operators of classical models, domain ai.onnx.ml: rows of features, each of them judged by itself. */
export const learnedRules = rulesOf(
  ['LinearClassifier SVMClassifier TreeEnsembleClassifier', classify],
  ['LinearRegressor SVMRegressor TreeEnsembleRegressor TreeEnsemble', (op) => perRow(op, freshSize())],
  ['Scaler Imputer Normalizer', (op) => perRow(op, op.dims[1] ?? one)],
  ['Binarizer LabelEncoder', (op) => op.like()],
  [
    'ArrayFeatureExtractor',
    (op) => op.along([op.rank - 1], 'takes a part of', [...op.dims.slice(0, -1), freshSize()]),
  ],
)

function perRow(op: Op, width: Size): TensorTrace | RefusedTrace {
  const [batch = one] = op.dims
  if (!isDependent(op.first)) return op.isDependent ? op.mixed() : shared([batch, width])
  if (op.rank !== 2 || op.first.rows.axis !== 0)
    return op.refuse('takes the batch axis for that of the features')
  return op.like([batch, width])
}

function classify(op: Op): Outcome {
  const scores = perRow(op, freshSize())
  const labels = isTensor(scores) ? placed(scores.dims.slice(0, 1), scores.rows) : scores
  return [labels, scores]
}
