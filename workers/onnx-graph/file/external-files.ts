import type { Graph, GraphAttributes, GraphTensor, OnnxGraph } from './graph.js'

/** Returns the names of the files beside a model that hold data of its tensors, as they are in the model. */
export function externalFiles(graph: OnnxGraph): string[] {
  const names = new Set<string>()
  const add = ({ location }: GraphTensor): void => {
    if (location !== undefined) names.add(location)
  }
  const visit = ({ initializers, nodes }: Graph): void => {
    for (const tensor of initializers.values()) add(tensor)
    for (const node of nodes) look(node.attributes)
  }
  const look = (attributes: GraphAttributes): void => {
    for (const { tensor, graphs } of attributes.values()) {
      if (tensor !== undefined) add(tensor)
      for (const body of graphs ?? []) visit(body)
    }
  }
  visit(graph)
  for (const { body, defaults } of graph.functions.values()) {
    visit(body)
    look(defaults)
  }
  return [...names].sort()
}
