import { median } from './latency.js'
import { isQuiet, waitForQuiet } from './quiet.js'

/** One stretch of measuring one cell. */
export interface Sample<Cell, Figures> {
  readonly cell: Cell
  readonly figures: Figures
  /** Somebody else kept the machine busy just before or after. */
  readonly isDisturbed: boolean
}

export interface RoundsOptions {
  readonly rounds: number
  /** Seconds that may go on waiting for a quiet machine and on tries that were disturbed. */
  readonly patience: number
}

/** Every cell once a round: interleaved, and back and forth, so that a disturbance or a drift meets all of them. */
export async function measureRounds<Cell, Figures>(
  cells: readonly Cell[],
  { rounds, patience }: RoundsOptions,
  measure: (cell: Cell) => Promise<Figures>,
): Promise<Sample<Cell, Figures>[]> {
  const watch = new QuietWatch(patience * 1_000)
  const samples: Sample<Cell, Figures>[] = []
  for (let round = 0; round < rounds; round += 1) {
    for (const cell of round % 2 === 0 ? cells : [...cells].reverse()) {
      const { figures, isDisturbed } = await watch.measure(() => measure(cell))
      samples.push({ cell, figures, isDisturbed })
    }
  }
  return samples
}

/** The undisturbed samples if every cell has one: a quiet one beside a disturbed one would tell nothing. */
export function comparable<Cell, Figures>(
  samples: readonly Sample<Cell, Figures>[],
): readonly Sample<Cell, Figures>[] {
  const undisturbed = samples.filter((sample) => !sample.isDisturbed)
  const cellsOf = (some: readonly Sample<Cell, Figures>[]): number =>
    new Set(some.map(({ cell }) => cell)).size
  return cellsOf(undisturbed) === cellsOf(samples) ? undisturbed : samples
}

/** Median of one figure of one cell. */
export function medianOf<Cell, Figures>(
  samples: readonly Sample<Cell, Figures>[],
  cell: Cell,
  figure: (figures: Figures) => number,
): number {
  return median(samples.filter((sample) => sample.cell === cell).map(({ figures }) => figure(figures)))
}

/** Waits for a quiet machine and tries again what was disturbed, as long as there is patience left. */
class QuietWatch {
  #patienceMs: number
  /** The machine was quiet after the last stretch. */
  #isQuiet = false

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  async measure<Figures>(work: () => Promise<Figures>): Promise<{ figures: Figures; isDisturbed: boolean }> {
    for (;;) {
      const arrivedAt = performance.now()
      const wasQuiet = this.#isQuiet || (await waitForQuiet(this.#patienceMs))
      const startedAt = performance.now()
      this.#patienceMs -= startedAt - arrivedAt
      const figures = await work()
      this.#isQuiet = await isQuiet()
      const isDisturbed = !wasQuiet || !this.#isQuiet
      if (!isDisturbed || this.#patienceMs <= 0) return { figures, isDisturbed }
      this.#patienceMs -= performance.now() - startedAt
    }
  }
}
