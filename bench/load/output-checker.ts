import { isSameOutputs, type PlainOutputs } from '../subjects/plain.js'
import type { OutputChecks } from './traffic-figures.js'

/** Number of requests per comparison; coprime to the number of inputs, so that every input is compared in time. */
const EVERY = 97

/** Compares the outputs of every 97th request with those of plain onnxruntime-node. */
export class OutputChecker {
  readonly #references: readonly PlainOutputs[]
  #seen = 0
  #compared = 0
  #wrong = 0

  constructor(references: readonly PlainOutputs[]) {
    this.#references = references
  }

  get checks(): OutputChecks {
    return { compared: this.#compared, wrong: this.#wrong }
  }

  /** Counts the outputs of one request and returns true if it compared them, which takes time. */
  check(index: number, outputs: PlainOutputs | undefined): boolean {
    this.#seen += 1
    if (this.#seen % EVERY !== 0) return false
    const reference = this.#references[index]
    if (reference === undefined) return false
    this.#compared += 1
    if (outputs === undefined || !isSameOutputs(outputs, reference)) this.#wrong += 1
    return true
  }
}
