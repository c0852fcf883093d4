import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { runChild } from '../harness/child.js'
import type { PlainInput } from '../subjects/plain.js'
import type { PrepareOrder } from './prepare-child.js'

/** Module that the runtime of this checkout is imported from. */
export const LIBRARY = 'tbcoin-engine'
const LIMIT_MS = 300_000

/** Folder with the artifacts of one bench, which is deleted on disposal. */
export class BenchCache implements Disposable {
  readonly #folder = tempFolder()
  readonly #library: string

  constructor(library = LIBRARY) {
    this.#library = library
  }

  get path(): string {
    return this.#folder.path
  }

  /** Builds the artifact of a model before anything is measured. */
  async prepare(source: string, input: PlainInput): Promise<void> {
    const order: PrepareOrder = { library: this.#library, source, cacheDir: this.path, input }
    const form = await runChild<string>(new URL('./prepare-child.js', import.meta.url), order, LIMIT_MS)
    process.stderr.write(`${source}: ${form}\n`)
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }
}
