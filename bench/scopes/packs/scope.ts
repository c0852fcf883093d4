import { milliseconds } from '../../../examples/speech/table.js'
import { model, node, value } from '../../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../../models/synthetic/temp-repository.js'
import { BenchChild } from '../../harness/child.js'
import { atLeast, atMost, told } from '../../harness/findings.js'
import { number, numbers, readOptions } from '../../harness/options.js'
import { comparable, measureRounds, medianOf, type Sample } from '../../harness/rounds.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { BenchCache } from '../../measurements/bench-cache.js'
import type { PacksFigures, PacksOrder } from './order.js'

const KIB = 1_024
/** The largest input is the one with targets. */
const LARGEST_KIB = 588
const MIN_RATE_RATIO = 0.95
const MAX_DELAY_RATIO = 2
const MARGIN_MS = 60_000

interface Cell {
  readonly inputKib: number
  /** The name by which the options are shown. */
  readonly packs: string
  readonly options: PacksOrder['options']
}

const ALONE = 'none (maxPackMs 0)'
const DEFAULT = 'the defaults'

export const scope: Scope = {
  quantity: 'answers per second and delay of the event loop, under requests with large inputs and short runs',
  async run(args) {
    const { inputs, limits, seconds, callers, ...rounds } = readOptions(args, {
      inputs: numbers([16, 160, LARGEST_KIB]),
      limits: numbers([]),
      seconds: number(2),
      callers: number(256),
      rounds: number(5),
      patience: number(120),
    })
    const ways: readonly Omit<Cell, 'inputKib'>[] = [
      { packs: ALONE, options: { maxPackMs: 0 } },
      { packs: DEFAULT, options: {} },
      ...limits.map((kib) => ({ packs: `${kib} KiB`, options: { maxPackBytes: kib * KIB } })),
    ]
    const cells = inputs.flatMap((inputKib) => ways.map((way): Cell => ({ inputKib, ...way })))
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
      using child = new BenchChild<PacksFigures>(new URL('./child.js', import.meta.url), order)
      return await child.result(seconds * 1_000 + MARGIN_MS)
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
  const of = (cell: Cell, key: keyof PacksFigures): number =>
    medianOf(compared, cell, (figures) => figures[key])
  const ratios: Finding[] = []
  const figures: Record<string, string[][]> = {}
  for (const inputKib of new Set(cells.map((cell) => cell.inputKib))) {
    const own = cells.filter((cell) => cell.inputKib === inputKib)
    const [alone] = own as [Cell]
    for (const cell of own.slice(1)) {
      const what = `inputs of ${inputKib} KiB, packs of ${cell.packs} / ${ALONE}`
      const rate = of(cell, 'perSecond') / of(alone, 'perSecond')
      const delay = of(cell, 'p99Ms') / of(alone, 'p99Ms')
      const isTarget = inputKib === LARGEST_KIB && cell.packs === DEFAULT
      ratios.push(
        isTarget
          ? atLeast(`${what}: answers per second`, rate, MIN_RATE_RATIO)
          : told(`${what}: answers per second`, rate),
        isTarget
          ? atMost(`${what}: p99 of the loop`, delay, MAX_DELAY_RATIO)
          : told(`${what}: p99 of the loop`, delay),
      )
    }
    figures[`inputs of ${inputKib} KiB, ${settings.callers} callers, one replica`] = [
      ['packs', 'answers/s', 'p50 of the loop', 'p99 of the loop'],
      ...own.map((cell) => [
        cell.packs,
        of(cell, 'perSecond').toFixed(0),
        milliseconds(of(cell, 'p50Ms')),
        milliseconds(of(cell, 'p99Ms')),
      ]),
    ]
  }
  const flat = samples.map(({ cell, figures: found, isDisturbed }) => ({ ...cell, ...found, isDisturbed }))
  return { ratios, figures, failures: [], data: { ...settings, samples: flat } }
}

/** x float32[batch,length] -> y float32[batch,1], the mean of each row. */
function meanOfRows(): Uint8Array {
  return model({
    inputs: [value('x', 'float32', ['batch', 'length'])],
    outputs: [value('y', 'float32', ['batch', 1])],
    nodes: [node('ReduceMean', ['x'], ['y'], { axes: [1], keepdims: 1 })],
  })
}
