import type { Checks } from '../measurements/stretch-order.js'
import { isSameOutputs, type PlainOutputs } from '../subjects/plain.js'

/** Prime to how many inputs there are, so that each of them has its turn. */
const EVERY = 97

/** Compares every 97th answer with what plain onnxruntime-node answers. */
export class AnswerChecker {
  readonly #references: readonly PlainOutputs[]
  #seen = 0
  #compared = 0
  #wrong = 0

  constructor(references: readonly PlainOutputs[]) {
    this.#references = references
  }

  get checks(): Checks {
    return { compared: this.#compared, wrong: this.#wrong }
  }

  /** Whether this answer has been compared, which takes time. */
  see(index: number, outputs: PlainOutputs | undefined): boolean {
    this.#seen += 1
    if (this.#seen % EVERY !== 0) return false
    const reference = this.#references[index]
    if (reference === undefined) return false
    this.#compared += 1
    if (outputs === undefined || !isSameOutputs(outputs, reference)) this.#wrong += 1
    return true
  }
}
