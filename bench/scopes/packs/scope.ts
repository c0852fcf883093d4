import { milliseconds } from '../../../examples/speech/table.js'
import { model, node, value } from '../../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../../models/synthetic/temp-repository.js'
import { runChild } from '../../harness/child.js'
import { atLeast, atMost, reported } from '../../harness/findings.js'
import { number, numbers, readOptions } from '../../harness/options.js'
import { comparable, measureRounds, medianOf, type Sample } from '../../harness/rounds.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { BenchCache } from '../../measurements/bench-cache.js'
import type { PacksFigures, PacksOrder } from './order.js'

const KIB = 1_024
/** Size of the largest input, which has targets. */
const LARGEST_KIB = 588
const MIN_RATE_RATIO = 0.95
const MAX_DELAY_RATIO = 2
const MARGIN_MS = 60_000

interface Cell {
  readonly inputKib: number
  /** Name of the options in the findings. */
  readonly packs: string
  readonly options: PacksOrder['options']
}

const WITHOUT_PACKS = 'none (maxPackMs 0)'
const DEFAULT = 'the defaults'

export const scope: Scope = {
  quantity: 'requests per second and delay of the event loop, with large inputs and short runs',
  async run(args) {
    const { inputs, limits, seconds, callers, ...rounds } = readOptions(args, {
      inputs: numbers([16, 160, LARGEST_KIB]),
      limits: numbers([]),
      seconds: number(2),
      callers: number(256),
      rounds: number(5),
      patience: number(120),
    })
    const settings: readonly Omit<Cell, 'inputKib'>[] = [
      { packs: WITHOUT_PACKS, options: { maxPackMs: 0 } },
      { packs: DEFAULT, options: {} },
      ...limits.map((kib) => ({ packs: `${kib} KiB`, options: { maxPackBytes: kib * KIB } })),
    ]
    const cells = inputs.flatMap((inputKib) => settings.map((setting): Cell => ({ inputKib, ...setting })))
    using repository = tempRepository({ mean: { '1': meanOfRows() } })
    using cache = new BenchCache()
    const measure = async ({ inputKib, options }: Cell): Promise<PacksFigures> => {
      const order: PacksOrder = {
        source: repository.path('mean', '1'),
        cacheDir: cache.path,
        inputBytes: inputKib * KIB,
        callers,
        durationMs: seconds * 1_000,
        options,
      }
      return await runChild(new URL('./child.js', import.meta.url), order, seconds * 1_000 + MARGIN_MS)
    }
    return resultOf(cells, await measureRounds(cells, rounds, measure), { ...rounds, seconds, callers })
  },
}

function resultOf(
  cells: readonly Cell[],
  samples: readonly Sample<Cell, PacksFigures>[],
  settings: { readonly callers: number; readonly seconds: number },
): ScopeResult {
  const compared = comparable(samples)
  const medianFigure = (cell: Cell, key: keyof PacksFigures): number =>
    medianOf(compared, cell, (figures) => figures[key])
  const ratios: Finding[] = []
  const figures: Record<string, string[][]> = {}
  for (const inputKib of new Set(cells.map((cell) => cell.inputKib))) {
    const cellsOfInput = cells.filter((cell) => cell.inputKib === inputKib)
    const [withoutPacks] = cellsOfInput as [Cell]
    for (const cell of cellsOfInput.slice(1)) {
      const title = `inputs of ${inputKib} KiB, packs of ${cell.packs} / ${WITHOUT_PACKS}`
      const rate = medianFigure(cell, 'perSecond') / medianFigure(withoutPacks, 'perSecond')
      const delay = medianFigure(cell, 'p99Ms') / medianFigure(withoutPacks, 'p99Ms')
      const isTarget = inputKib === LARGEST_KIB && cell.packs === DEFAULT
      ratios.push(
        isTarget
          ? atLeast(`${title}: requests per second`, rate, MIN_RATE_RATIO)
          : reported(`${title}: requests per second`, rate),
        isTarget
          ? atMost(`${title}: p99 of the delay of the event loop`, delay, MAX_DELAY_RATIO)
          : reported(`${title}: p99 of the delay of the event loop`, delay),
      )
    }
    figures[`inputs of ${inputKib} KiB, ${settings.callers} callers, one replica`] = [
      ['packs', 'requests/s', 'loop delay p50', 'loop delay p99'],
      ...cellsOfInput.map((cell) => [
        cell.packs,
        medianFigure(cell, 'perSecond').toFixed(0),
        milliseconds(medianFigure(cell, 'p50Ms')),
        milliseconds(medianFigure(cell, 'p99Ms')),
      ]),
    ]
  }
  const flat = samples.map(({ cell, figures: sampleFigures, isDisturbed }) => ({
    ...cell,
    ...sampleFigures,
    isDisturbed,
  }))
  return { ratios, figures, failures: [], data: { ...settings, samples: flat } }
}

/** Returns a model: x float32[batch,length] -> y float32[batch,1], the mean of each row. */
function meanOfRows(): Uint8Array {
  return model({
    inputs: [value('x', 'float32', ['batch', 'length'])],
    outputs: [value('y', 'float32', ['batch', 1])],
    nodes: [node('ReduceMean', ['x'], ['y'], { axes: [1], keepdims: 1 })],
  })
}
