/** A size, the name of a free axis, or undefined for a free axis without a name. */
export type GraphDim = number | string | undefined

/** An input or output of a graph. */
export interface GraphValue {
  readonly name: string
  /** Undefined if it is no tensor, or a tensor whose rank is not declared. */
  readonly dims: readonly GraphDim[] | undefined
  /** ONNX's number of the element type; undefined if it is no tensor. */
  readonly type?: number
}

/** A constant tensor. */
export interface GraphTensor {
  readonly name: string
  readonly dims: readonly number[]
  /** ONNX's number: 1 float, 6 int32, 7 int64. */
  readonly type: number
  /** Values of a small tensor of float, int32, int64 or bool in the model; integers above 2^53 are rounded. */
  readonly values: readonly number[] | undefined
  /** The file beside the model in which its data lies; undefined if that is in the model. */
  readonly location?: string | undefined
}

/** The parts of an attribute that are kept. */
export interface GraphAttribute {
  readonly int?: number
  readonly ints?: readonly number[]
  readonly floats?: readonly number[]
  readonly string?: string
  readonly tensor?: GraphTensor
  readonly graphs?: readonly Graph[]
  /** Name of the function's own attribute whose value it takes; in functions only. */
  readonly ref?: string
}

export type GraphAttributes = ReadonlyMap<string, GraphAttribute>

export interface GraphNode {
  readonly op: string
  /** '' for ONNX's own operators. */
  readonly domain: string
  /** Distinguishes several functions of one name; mostly ''. */
  readonly overload: string
  readonly name: string
  /** '' stands for an input or output that is left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: GraphAttributes
}

/** A graph, or the body of an If, Loop or Scan, which may read the names of the graph around it. */
export interface Graph {
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  readonly nodes: readonly GraphNode[]
  readonly initializers: ReadonlyMap<string, GraphTensor>
  /** Ranks that the model declares for tensors inside the graph. */
  readonly ranks: ReadonlyMap<string, number>
}

/** Version of the operators by domain, '' for ONNX's own. */
export type Opsets = ReadonlyMap<string, number>

/** An operator that the model defines itself. */
export interface GraphFunction {
  readonly body: Graph
  readonly opsets: Opsets
  /** Values, by name, of attributes that a call may leave out. */
  readonly defaults: GraphAttributes
}

/** A model's graph, with the versions of its operators and its functions. */
export interface OnnxGraph extends Graph {
  readonly opsets: Opsets
  /** The model's functions by `functionKey`. */
  readonly functions: ReadonlyMap<string, GraphFunction>
}

/** Returns the key of a function of a model, and of the nodes that call it. */
export function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([domain, name, overload])
}
