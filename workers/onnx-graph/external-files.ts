import type { Graph, GraphTensor } from './graph.js'

/** Names of the files beside a model in which data of its tensors lies, as the model has them. */
export function externalFiles(graph: Graph): string[] {
  const found = new Set<string>()
  const add = ({ location }: GraphTensor): void => {
    if (location !== undefined) found.add(location)
  }
  const visit = ({ initializers, nodes }: Graph): void => {
    for (const tensor of initializers.values()) add(tensor)
    for (const { attributes } of nodes) {
      for (const { tensor, graphs } of attributes.values()) {
        if (tensor !== undefined) add(tensor)
        for (const body of graphs ?? []) visit(body)
      }
    }
  }
  visit(graph)
  return [...found].sort()
}
