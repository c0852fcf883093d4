/** The load that all waiting requests of a cold version share. */
export class SharedLoad {
  #load: Promise<void> | undefined
  #refusal: unknown

  /** True while requests wait for the load. */
  get isAwaited(): boolean {
    return this.#load !== undefined
  }

  /** Returns the load under way, or starts one by `start`. */
  join(start: () => Promise<void>): Promise<void> {
    this.#load ??= start().finally(() => {
      this.#load = undefined
    })
    return this.#load
  }

  /** Refuses the requests that wait now because of `cause`, if there are any. */
  refuse(cause: unknown): void {
    if (this.isAwaited) this.#refusal = cause
  }

  /** Returns the cause of a refusal and clears it; undefined if the requests are not refused. */
  takeRefusal(): unknown {
    const refusal = this.#refusal
    this.#refusal = undefined
    return refusal
  }
}
