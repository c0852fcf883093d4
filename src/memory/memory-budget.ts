/** The budget has no room, and nothing is left to be evicted. */
export class NoRoom extends Error {
  readonly neededBytes: number
  readonly freeBytes: number

  constructor(neededBytes: number, freeBytes: number) {
    super(`${neededBytes} bytes are needed, ${freeBytes} are free`)
    this.neededBytes = neededBytes
    this.freeBytes = freeBytes
  }
}

/** Room that a load may take until it is measured what it has taken. */
export interface Reservation {
  /** Idempotent. */
  release(): void
}

/** What the process may hold, and what of it is promised. */
export interface BudgetStats {
  /** 0 is without a limit. */
  readonly budgetBytes: number
  /** For loads under way. */
  readonly reservedBytes: number
}

/** The budget at the moment of a reservation. */
export interface BudgetSnapshot extends BudgetStats {
  readonly neededBytes: number
  readonly heldBytes: number
}

export type ReservationAction = 'grant' | 'await load' | 'make room'

/** Decides about a reservation. What does not fit beside loads under way waits for the end of one. */
export function planReservation(snapshot: BudgetSnapshot): ReservationAction {
  const { neededBytes, budgetBytes, reservedBytes } = snapshot
  if (budgetBytes === 0 || neededBytes <= freeBytesOf(snapshot)) return 'grant'
  // The memory that a load has taken so far counts twice; afterwards it is known.
  return neededBytes <= budgetBytes && reservedBytes > 0 ? 'await load' : 'make room'
}

function freeBytesOf({ budgetBytes, heldBytes, reservedBytes }: BudgetSnapshot): number {
  return budgetBytes - heldBytes - reservedBytes
}

/** Keeps what the process holds, and what loads under way will take, within a budget. */
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
   * Reserves room, one after another, so that nobody is promised what somebody else is about to take.
   * What does not fit beside a load under way waits for its end.
   * @param makeRoom gives something up that nobody uses; false if there is nothing left.
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
