/** Error of a reservation for which the budget has no room and nothing is left to evict. */
export class NoRoom extends Error {
  readonly neededBytes: number
  readonly freeBytes: number

  constructor(neededBytes: number, freeBytes: number) {
    super(`${neededBytes} bytes are needed, ${freeBytes} are free`)
    this.neededBytes = neededBytes
    this.freeBytes = freeBytes
  }
}

/** Memory that a load may take until its consumption is measured. */
export interface Reservation {
  /** Releases the reservation. Idempotent. */
  release(): void
}

/** The budget of the process, and the part of it that is reserved. */
export interface BudgetStats {
  /** Maximum number of bytes that the process may hold; 0 disables the limit. */
  readonly budgetBytes: number
  /** Bytes reserved for loads under way. */
  readonly reservedBytes: number
}

/** The state of the budget at the moment of a reservation. */
export interface BudgetSnapshot extends BudgetStats {
  readonly neededBytes: number
  readonly heldBytes: number
}

export type ReservationAction = 'grant' | 'await load' | 'make room'

/**
 * Returns the next step of a reservation. A reservation that does not fit beside loads under way waits for one of
 * them to end.
 */
export function planReservation(snapshot: BudgetSnapshot): ReservationAction {
  const { neededBytes, budgetBytes, reservedBytes } = snapshot
  if (budgetBytes === 0 || neededBytes <= freeBytesOf(snapshot)) return 'grant'
  // The memory that a load has taken so far counts twice, as held and as reserved; when the load has ended, its
  // consumption is known.
  return neededBytes <= budgetBytes && reservedBytes > 0 ? 'await load' : 'make room'
}

function freeBytesOf({ budgetBytes, heldBytes, reservedBytes }: BudgetSnapshot): number {
  return budgetBytes - heldBytes - reservedBytes
}

/** Keeps the memory that the process holds, plus the memory reserved for loads under way, within a budget. */
export class MemoryBudget {
  readonly #budgetBytes: number
  readonly #heldBytes: () => Promise<number>
  #reservedBytes = 0
  #whenReleased: (() => void)[] = []
  #turn: Promise<unknown> = Promise.resolve()

  /** @param heldBytes measures what the process holds now. */
  constructor(budgetBytes: number, heldBytes: () => Promise<number>) {
    this.#budgetBytes = budgetBytes
    this.#heldBytes = heldBytes
  }

  stats(): BudgetStats {
    return { budgetBytes: this.#budgetBytes, reservedBytes: this.#reservedBytes }
  }

  /**
   * Reserves memory for a load. Reservations are made one after another, so that the same memory is never reserved
   * twice. One that does not fit beside a load under way waits for that load to end.
   * @param makeRoom evicts something that is not in use; resolves with false if nothing is left to evict.
   * @throws NoRoom
   */
  reserve(neededBytes: number, makeRoom: () => Promise<boolean>): Promise<Reservation> {
    const result = this.#turn.then(() => this.#reserve(neededBytes, makeRoom))
    this.#turn = result.catch(() => undefined)
    return result
  }

  #released(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenReleased.push(resolve)
    })
  }

  async #reserve(neededBytes: number, makeRoom: () => Promise<boolean>): Promise<Reservation> {
    for (;;) {
      const heldBytes = this.#budgetBytes === 0 ? 0 : await this.#heldBytes()
      const snapshot = { ...this.stats(), neededBytes, heldBytes }
      const action = planReservation(snapshot)
      if (action === 'grant') break
      if (action === 'await load') await this.#released()
      else if (!(await makeRoom())) throw new NoRoom(neededBytes, Math.max(0, freeBytesOf(snapshot)))
    }
    this.#reservedBytes += neededBytes
    let isReleased = false
    return {
      release: () => {
        if (isReleased) return
        isReleased = true
        this.#reservedBytes -= neededBytes
        for (const resolve of this.#whenReleased.splice(0)) resolve()
      },
    }
  }
}
