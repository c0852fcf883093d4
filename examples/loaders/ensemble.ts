import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** `-1` in place of a feature: the node is a leaf. */
const LEAF = -1
const index = z.number().int().min(LEAF)

/** One tree, its nodes in columns. Node 0 is the root, children come after their parent. */
const treeSchema = z.strictObject({
  /** Whose score the leaves add to: an index into `labels`. */
  label: z.number().int().min(0),
  /** The feature an inner node asks for. */
  feature: z.array(index).min(1),
  /** At most this goes left, more goes right (and so does NaN). */
  threshold: z.array(z.number()),
  left: z.array(index),
  right: z.array(index),
  /** What a leaf adds. */
  value: z.array(z.number()),
})

const ensembleSchema = z.strictObject({
  format: z.literal('tree-ensemble'),
  formatVersion: z.literal(1),
  /** Where it comes from and how good it is. */
  about: z.string(),
  features: z.array(z.string()).min(1),
  labels: z.array(z.string()).min(2),
  trees: z.array(treeSchema).min(1),
})

export type Ensemble = z.output<typeof ensembleSchema>
type Tree = Ensemble['trees'][number]

/** Reads and checks a file; throws an Error that says what is wrong with which tree. */
export async function readEnsemble(path: string): Promise<Ensemble> {
  const text = await readFile(path, 'utf8')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new Error(`${path} is not JSON, perhaps cut off: ${(cause as Error).message}`, { cause })
  }
  const parsed = ensembleSchema.safeParse(json)
  if (!parsed.success) throw new Error(`${path} is no tree ensemble: ${z.prettifyError(parsed.error)}`)
  for (const [number, tree] of parsed.data.trees.entries()) {
    const problem = treeProblem(tree, parsed.data)
    if (problem !== undefined) throw new Error(`${path}: tree ${number} ${problem}`)
  }
  return parsed.data
}

/** What would make a walk through the tree go astray: nothing here is trusted to be in range. */
function treeProblem(tree: Tree, { features, labels }: Ensemble): string | undefined {
  const size = tree.feature.length
  if (tree.label >= labels.length) return `is for label ${tree.label}, there are ${labels.length}`
  for (const column of ['threshold', 'left', 'right', 'value'] as const) {
    if (tree[column].length !== size) return `has ${size} nodes, but ${tree[column].length} in "${column}"`
  }
  for (let node = 0; node < size; node++) {
    const feature = tree.feature[node] as number
    if (feature === LEAF) continue
    if (feature >= features.length) return `asks for feature ${feature}, there are ${features.length}`
    for (const side of ['left', 'right'] as const) {
      const child = tree[side][node] as number
      // Children after their parents: so no walk can go in circles.
      if (child <= node || child >= size) return `goes ${side} from node ${node} to ${child}`
    }
  }
  return undefined
}

/** Probabilities of all labels for the row of `data` that begins at `offset`, into `scores`. */
export function scoresOf(
  { labels, trees }: Ensemble,
  data: Float32Array,
  offset: number,
  scores: Float32Array,
): void {
  const sums = new Array<number>(labels.length).fill(0)
  for (const tree of trees) sums[tree.label] = (sums[tree.label] as number) + leafValue(tree, data, offset)
  const most = Math.max(...sums)
  const weights = sums.map((sum) => Math.exp(sum - most))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  for (const [label, weight] of weights.entries()) scores[label] = weight / total
}

function leafValue({ feature, threshold, left, right, value }: Tree, data: Float32Array, offset: number) {
  let node = 0
  while (feature[node] !== LEAF) {
    const measured = data[offset + (feature[node] as number)] as number
    node = (measured <= (threshold[node] as number) ? left[node] : right[node]) as number
  }
  return value[node] as number
}
