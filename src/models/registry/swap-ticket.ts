import { errors } from '../../errors/errors.js'

/** One request to make another version active. A newer one of the same model supersedes it. */
export class SwapTicket {
  readonly version: string
  /** Rejects when a newer swap is asked for; never resolves. */
  readonly superseded: Promise<never>
  readonly #model: string
  #error: Error | undefined
  #isDecided = false
  #reject!: (error: Error) => void

  constructor(model: string, version: string) {
    this.#model = model
    this.version = version
    this.superseded = new Promise((_, reject) => {
      this.#reject = reject
    })
    this.superseded.catch(() => undefined)
  }

  /** The error of a swap that a newer one has superseded; undefined if none has. */
  get error(): Error | undefined {
    return this.#error
  }

  /** The swap is past the point where a newer one could supersede it. */
  decide(): void {
    this.#isDecided = true
  }

  supersede(newer: string): void {
    if (this.#isDecided) return
    this.#error = new errors.ERR_SWAP_SUPERSEDED(
      `the swap of ${this.#model} to ${this.version} was superseded by one to ${newer}`,
      { model: this.#model, version: this.version },
    )
    this.#reject(this.#error)
  }
}
