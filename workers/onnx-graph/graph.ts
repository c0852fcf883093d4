/** A size, the name of a free axis, or undefined for a free axis without a name. */
export type GraphDim = number | string | undefined

/** An input or output of a graph. */
export interface GraphValue {
  readonly name: string
  /** Undefined: no tensor, or a tensor whose rank is not declared. */
  readonly dims: readonly GraphDim[] | undefined
}

/** A constant tensor. */
export interface GraphTensor {
  readonly name: string
  readonly dims: readonly number[]
  /** ONNX's number: 1 float, 6 int32, 7 int64. */
  readonly type: number
  /** Of a small int32 or int64 tensor that lies in the model; integers above 2^53 are rounded. */
  readonly values: readonly number[] | undefined
  /** The file beside the model in which its data lies; undefined if that is in the model. */
  readonly location?: string | undefined
}

/** An attribute, as far as it is kept. */
export interface GraphAttribute {
  readonly int?: number
  readonly ints?: readonly number[]
  readonly string?: string
  readonly tensor?: GraphTensor
  readonly graphs?: readonly Graph[]
}

export interface GraphNode {
  readonly op: string
  /** '' for ONNX's own operators. */
  readonly domain: string
  readonly name: string
  /** '' stands for an input or output that is left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, GraphAttribute>
}

/** A graph, or the body of an If, Loop or Scan: which may read the names of the graph around it. */
export interface Graph {
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  readonly nodes: readonly GraphNode[]
  readonly initializers: ReadonlyMap<string, GraphTensor>
  /** Ranks that the model declares for tensors inside the graph. */
  readonly ranks: ReadonlyMap<string, number>
}

/** A model's graph with what its operators mean. */
export interface OnnxGraph extends Graph {
  /** Version of the operators by domain, '' for ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>
  /** Functions the model defines for itself; they are not read. */
  readonly functions: number
}
