import { median } from './latency.js'
import { isQuiet, waitForQuiet } from './quiet.js'

/** One measurement of one cell. */
export interface Sample<Cell, Figures> {
  readonly cell: Cell
  readonly figures: Figures
  /** Other processes kept the machine busy just before or after the measurement. */
  readonly isDisturbed: boolean
}

export interface RoundsOptions {
  readonly rounds: number
  /** Budget in seconds for waiting for a quiet machine and for repeating disturbed measurements. */
  readonly patience: number
}

/**
 * Measures every cell once per round. Rounds go through the cells forwards and backwards in turn, so that a
 * disturbance or a drift affects all of them.
 */
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

/**
 * Returns the undisturbed samples if every cell has one, otherwise all samples: a quiet sample must not be
 * compared with a disturbed one.
 */
export function comparable<Cell, Figures>(
  samples: readonly Sample<Cell, Figures>[],
): readonly Sample<Cell, Figures>[] {
  const undisturbed = samples.filter((sample) => !sample.isDisturbed)
  const countCells = (some: readonly Sample<Cell, Figures>[]): number =>
    new Set(some.map(({ cell }) => cell)).size
  return countCells(undisturbed) === countCells(samples) ? undisturbed : samples
}

/** Returns the median of one figure of one cell. */
export function medianOf<Cell, Figures>(
  samples: readonly Sample<Cell, Figures>[],
  cell: Cell,
  figure: (figures: Figures) => number,
): number {
  return median(samples.filter((sample) => sample.cell === cell).map(({ figures }) => figure(figures)))
}

/** Waits for a quiet machine and repeats disturbed measurements until the patience is used up. */
class QuietWatch {
  #patienceMs: number
  /** The machine was quiet after the last measurement. */
  #isQuiet = false

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  async measure<Figures>(work: () => Promise<Figures>): Promise<{ figures: Figures; isDisturbed: boolean }> {
    for (;;) {
      const requestedAt = performance.now()
      const wasQuiet = this.#isQuiet || (await waitForQuiet(this.#patienceMs))
      const startedAt = performance.now()
      this.#patienceMs -= startedAt - requestedAt
      const figures = await work()
      this.#isQuiet = await isQuiet()
      const isDisturbed = !wasQuiet || !this.#isQuiet
      if (!isDisturbed || this.#patienceMs <= 0) return { figures, isDisturbed }
      this.#patienceMs -= performance.now() - startedAt
    }
  }
}
