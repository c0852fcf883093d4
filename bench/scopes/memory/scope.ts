import { tempFolder } from '../../../models/synthetic/temp-folder.js'
import { numberOptions } from '../../harness/options.js'
import type { Scope, ScopeResult } from '../../harness/scope.js'
import { BenchCache } from '../../measurements/bench-cache.js'
import { HEAVY, HEAVY_NAMES } from '../../subjects/heavy.js'
import { subjectSources } from '../../subjects/sources.js'
import { besideFailures, besideFigures, besideFindings, measureBeside } from './beside.js'
import { type MemoryFiles, type MemoryOptions, writeModels } from './files.js'
import { holdFigures, holdFindings, measureHolds } from './holds.js'
import { measureRates, rateFailures, rateFinding } from './rates.js'
import { measureSwaps, swapFailures, swapFindings } from './swaps.js'

export const scope: Scope = {
  quantity:
    'memory of replicas and after unloads, cost of loads and swaps, compared with a pool whose threads each load the file',
  async run(args) {
    const options = numberOptions(args, { rounds: 5, unloads: 20, swaps: 50, seconds: 10, turns: 15 })
    using folder = tempFolder()
    using sources = subjectSources()
    using cache = new BenchCache()
    const files = { ...writeModels(folder.path), cacheDir: cache.path }
    for (const name of HEAVY_NAMES) await cache.prepare(files.heavy[name], HEAVY[name].input)
    await cache.prepare(files.other, HEAVY.matmul.input)
    return await measure(files, sources.paths.iris, options)
  },
}

async function measure(files: MemoryFiles, small: string, options: MemoryOptions): Promise<ScopeResult> {
  const holds = await measureHolds(files, options)
  const swaps = await measureSwaps(files, options)
  const beside = await measureBeside(files, small, options)
  const rates = await measureRates(files, options)
  return {
    ratios: [
      ...HEAVY_NAMES.flatMap((name) => holdFindings(name, holds[name])),
      ...swapFindings(swaps),
      ...besideFindings(beside),
      ...rates.map(rateFinding),
    ],
    figures: {
      ...Object.fromEntries(HEAVY_NAMES.map((name) => [HEAVY[name].title, holdFigures(holds[name])])),
      'latency of a small model, ms, while 200 MB are loaded and swapped beside it': besideFigures(beside),
    },
    failures: [...swapFailures(swaps), ...besideFailures(beside), ...rateFailures(rates)],
    data: { options, holds, swaps, beside, rates },
  }
}
