import { errors } from '../../errors/errors.js'

/** A pending swap. A newer swap of the same model supersedes it until it is decided. */
export class SwapTicket {
  readonly version: string
  /** Rejects when a newer swap begins; never resolves. */
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

  /** The error if a newer swap has superseded this one; else undefined. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Decides the swap: from now on no newer one can supersede it. */
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
