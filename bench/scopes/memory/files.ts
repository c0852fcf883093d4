import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bigLoad } from '../../../models/synthetic/graphs.js'
import { HEAVY, HEAVY_NAMES, type HeavyName } from '../../subjects/heavy.js'

/** Paths of the models of the memory bench, with the folder of their artifacts. */
export interface MemoryFiles {
  readonly cacheDir: string
  readonly heavy: Readonly<Record<HeavyName, string>>
  /** Model of about the same size as `matmul`, for swaps. */
  readonly other: string
}

/** Writes the models into `folder`. */
export function writeModels(folder: string): Omit<MemoryFiles, 'cacheDir'> {
  const write = (name: string, content: Uint8Array): string => {
    const path = join(folder, `${name}.onnx`)
    writeFileSync(path, content)
    return path
  }
  const heavy = Object.fromEntries(HEAVY_NAMES.map((name) => [name, write(name, HEAVY[name].model())]))
  return {
    heavy: heavy as Record<HeavyName, string>,
    // The size differs a little, so that its artifact is another one.
    other: write('other', bigLoad(204)),
  }
}

/** Values of the options of the memory bench. */
export type MemoryOptions = Readonly<Record<'rounds' | 'unloads' | 'swaps' | 'seconds' | 'turns', number>>

export const CHILD_LIMIT_MS = 300_000
/** Number of callers in a closed loop. */
export const CALLERS = 4
