/** Something that changes what the process holds. */
export interface Change {
  /** Whether it was the only one from its beginning to its end. */
  end(): boolean
}

/** Tells measurements apart that are one change's own: the process is measured as a whole. */
export class ExclusiveMeasurement {
  readonly #open = new Set<{ isAlone: boolean }>()

  begin(): Change {
    const change = { isAlone: this.#open.size === 0 }
    for (const other of this.#open) other.isAlone = false
    this.#open.add(change)
    return {
      end: () => {
        this.#open.delete(change)
        return change.isAlone
      },
    }
  }
}
