/** A change of the memory that the process holds, such as a load. */
export interface Change {
  /** Ends the change; returns true if no other change overlapped it. */
  end(): boolean
}

/**
 * Detects overlapping changes. Memory is measured for the whole process, so a measurement can be attributed to a
 * change only if no other one overlapped it.
 */
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
