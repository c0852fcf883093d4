import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { BenchChild } from '../harness/child.js'
import type { PlainInput } from '../subjects/plain.js'
import type { PrepareOrder } from './prepare.js'

/** The module that the runtime of this checkout is imported from. */
export const LIBRARY = 'tbcoin-engine'
const LIMIT_MS = 300_000

/** The artifacts of one run of the bench, deleted with it. */
export class BenchCache implements Disposable {
  readonly #folder = tempFolder()
  readonly #library: string

  constructor(library = LIBRARY) {
    this.#library = library
  }

  get path(): string {
    return this.#folder.path
  }

  /** Has the artifact of a model built, so that it is not built while something is measured. */
  async prepare(source: string, input: PlainInput): Promise<void> {
    const order: PrepareOrder = { library: this.#library, source, cacheDir: this.path, input }
    using child = new BenchChild<string>(new URL('./prepare.js', import.meta.url), order)
    process.stderr.write(`${source}: ${await child.result(LIMIT_MS)}\n`)
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }
}
