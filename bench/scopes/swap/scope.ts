import { readClip, silentState } from '../../../examples/speech/clip.js'
import { isSameAnswer } from '../../../examples/speech/judge.js'
import { type ReplayReply, replay } from '../../../examples/speech/replay.js'
import { megabytes, milliseconds } from '../../../examples/speech/table.js'
import { modelPath, sampleData } from '../../../models/catalogue.js'
import { BenchChild, type Ending, isAbort } from '../../harness/child.js'
import type { LatencyFigures } from '../../harness/latency.js'
import { numberOptions } from '../../harness/options.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { BenchCache } from '../../measurements/bench-cache.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import type { MemoryAt, SwapInput, SwapOrder, SwapOutcome } from './order.js'

const MODEL = 'vad'
/** Largest growth of memory since the tenth swap. */
const MAX_GROWTH = 1.1
const BASELINE_SWAPS = 10

export const scope: Scope = {
  quantity:
    'lost requests, requests with the outputs of the wrong version, memory and latency, over hot swaps under load',
  async run(args) {
    const { swaps, callers } = numberOptions(args, { swaps: 200, callers: 32 })
    const models = { '5': modelPath(MODEL, '5'), '6': modelPath(MODEL, '6') }
    const { inputs, references } = await prepare(models)
    using cache = new BenchCache()
    for (const source of Object.values(models)) await cache.prepare(source, SUBJECTS.vad6.input(0))
    const cacheDir = cache.path
    const order: SwapOrder = { model: MODEL, models, cacheDir, inputs, references, swaps, callers }
    const script = new URL('./child.js', import.meta.url)
    using child = new BenchChild<SwapOutcome>(script, order, (_kind, count) => {
      process.stderr.write(`swap ${count} of ${swaps}\n`)
    })
    const ending = await child.ended
    if (isAbort(ending)) return aborted(ending)
    return resultOf(await child.result(), swaps)
  },
}

/** Returns real windows of sound, each with a real state, and the outputs of both versions for them. */
async function prepare(
  models: SwapOrder['models'],
): Promise<{ inputs: SwapInput[]; references: ReplayReply }> {
  const { windows } = await readClip(sampleData.speech)
  const first = windows.map((input) => ({ input, state: silentState() }))
  const states = (await replay({ questions: first, models: { '5': models['5'] } }))['5'] ?? []
  const inputs = windows.map((input, index) => ({ input, state: states[index]?.state ?? silentState() }))
  const references = await replay({ questions: inputs, models })
  for (const [index, outputs] of (references['5'] ?? []).entries()) {
    if (isSameAnswer(outputs, references['6']?.[index]))
      throw new Error(`both versions have the same outputs for input ${index}`)
  }
  return { inputs, references }
}

function aborted(ending: Ending): ScopeResult {
  return {
    ratios: [{ name: 'aborts of the process', value: '1', target: '0', isMet: false }],
    figures: {},
    failures: [`the process was aborted (${ending.signal ?? ending.code})`],
    data: { aborts: 1, ending },
  }
}

function resultOf(outcome: SwapOutcome, ordered: number): ScopeResult {
  const { duringSwap, steady, memory } = outcome
  const rejected = Object.values(outcome.rejected).reduce((sum, count) => sum + count, 0)
  const early = memory.find((reading) => reading.swaps >= Math.min(BASELINE_SWAPS, ordered))
  const late = memory.at(-1)
  const growth = {
    pss: growthOf(early, late, 'pssBytes'),
    anonymous: growthOf(early, late, 'anonymousBytes'),
  }
  const count = (name: string, value: number): Finding => ({
    name,
    value: `${value}`,
    target: '0',
    isMet: value === 0,
  })
  const ratio = (name: string, value: number): Finding => ({
    name,
    value: value.toFixed(3),
    target: `<= ${MAX_GROWTH.toFixed(2)}`,
    isMet: value <= MAX_GROWTH,
  })
  const checks = [
    count('lost requests', rejected + outcome.open),
    count('requests with the outputs of the wrong version', outcome.wrongVersion),
    count('requests with outputs of no version', outcome.unknownOutputs),
    count('aborts of the process', 0),
    count('missing swaps', ordered - outcome.swaps),
    ratio(`memory (Pss) after swap ${late?.swaps} / after swap ${early?.swaps}`, growth.pss),
    ratio(`memory (anonymous) after swap ${late?.swaps} / after swap ${early?.swaps}`, growth.anonymous),
  ]
  const slowdown = duringSwap.p99Ms / steady.p99Ms
  return {
    ratios: [...checks, { name: 'p99 during swaps / between them', value: slowdown.toFixed(2) }],
    figures: {
      [`${outcome.submitted} requests in ${(outcome.durationMs / 1_000).toFixed(1)} s, ${outcome.swaps} swaps; all outputs compared with plain onnxruntime-node`]:
        [
          ['requests', 'version 5', 'version 6'],
          ['with the outputs of', `${outcome.completed['5']}`, `${outcome.completed['6']}`],
        ],
      'duration of swaps and latency of requests': [
        ['', 'count', 'p50', 'p90', 'p99', 'max'],
        latencyRow('call to promotion', outcome.toPromote),
        latencyRow('call to end of the old version', outcome.toDrained),
        latencyRow('requests during swaps', duringSwap),
        latencyRow('requests between swaps', steady),
      ],
      'memory, with no request open': [
        ['', 'Pss', 'anonymous'],
        ...memory.map((reading) => [
          `after ${reading.swaps} swaps`,
          megabytes(reading.pssBytes),
          megabytes(reading.anonymousBytes),
        ]),
      ],
    },
    failures: checks
      .filter(({ isMet }) => isMet === false)
      .map(({ name, value, target }) => `${name}: ${value}, target ${target}`),
    data: { ...outcome, aborts: 0, growth, p99DuringOverSteady: slowdown },
  }
}

function growthOf(
  early: MemoryAt | undefined,
  late: MemoryAt | undefined,
  key: 'pssBytes' | 'anonymousBytes',
): number {
  return early === undefined || late === undefined ? Number.NaN : late[key] / early[key]
}

function latencyRow(name: string, { count, p50Ms, p90Ms, p99Ms, maxMs }: LatencyFigures): string[] {
  return [name, `${count}`, ...[p50Ms, p90Ms, p99Ms, maxMs].map(milliseconds)]
}
