import { type Golden, goldenProblems } from './judge.js'
import type { RunResult } from './run.js'
import { megabytes, milliseconds, table } from './table.js'

/** What the run has to show for itself. */
export function report(result: RunResult): string {
  const { answeredBy, memory, phases, swaps, verdict } = result
  const seconds = result.durationMs / 1_000
  const resident = memory.before.isResident ? ' (resident)' : ''
  const rows = [
    ['requests', `${result.submitted}`],
    ['answers per second', `${Math.round(result.answered / seconds)}`],
    ...Object.entries(answeredBy).map(([version, count]) => [`answered by version ${version}`, `${count}`]),
    ['lost', `${lostOf(result)}`],
    ['wrong version', `${verdict.wrongVersion}`],
    ["no version's answer", `${verdict.foreign}`],
    ['answers replayed to tell', `${verdict.judged}`],
    ...Object.entries(verdict.answeredBy).map(([version, count]) => [
      `  have version ${version}'s values`,
      `${count}`,
    ]),
    ...swaps.flatMap(({ from, to, promotedMs, drainedMs }) => [
      [`${from} -> ${to} promoted after`, milliseconds(promotedMs)],
      [`${from} -> ${to} drained after`, milliseconds(drainedMs)],
    ]),
    ['event-loop delay, p99', milliseconds(result.loopDelayP99Ms)],
  ]
  const latencies = [
    ['latency', 'requests', 'p50', 'p99', 'max'],
    ...phases.map(({ name, count, p50Ms, p99Ms, maxMs }) => [
      name,
      `${count}`,
      milliseconds(p50Ms),
      milliseconds(p99Ms),
      milliseconds(maxMs),
    ]),
  ]
  const memories = [
    [`memory${resident}`, 'before', 'loaded', 'after'],
    ['proportional (Pss)', ...inOrder(result, 'pssBytes')],
    ['anonymous', ...inOrder(result, 'anonymousBytes')],
  ]
  const title = `${seconds.toFixed(1)} s of speech detection; answers by version as the runtime counts them`
  return [title, table(rows), table(latencies), table(memories)].join('\n\n')
}

/** The promises that were not kept, in words. */
export function brokenPromises(result: RunResult, golden: Readonly<Record<'5' | '6', Golden>>): string[] {
  const { verdict } = result
  const lost = lostOf(result)
  const broken: string[] = []
  if (lost !== 0) {
    const codes = [...result.rejected].map(([code, count]) => `${code} ${count}`).join(', ')
    broken.push(`${lost} requests were lost (${codes || 'not settled'})`)
  }
  const counted = Object.values(result.answeredBy).reduce((sum, count) => sum + count, 0)
  if (counted !== result.answered)
    broken.push(`${result.answered} were answered, the runtime counts ${counted}`)
  if (verdict.wrongVersion > 0)
    broken.push(`${verdict.wrongVersion} of ${verdict.judged} answers came from the wrong version`)
  if (verdict.foreign > 0) broken.push(`${verdict.foreign} of ${verdict.judged} answers are no version's`)
  if (verdict.undecided > 0)
    broken.push(`${verdict.undecided} of ${verdict.judged} answers fit several versions and prove nothing`)
  for (const [index, pass] of result.firstPasses.entries())
    broken.push(...goldenProblems(`the first pass of stream ${index}`, pass, golden['5']))
  broken.push(...goldenProblems('the pass over version 6', result.newVersionPass, golden['6']))
  return broken
}

function lostOf({ submitted, answered }: RunResult): number {
  return submitted - answered
}

function inOrder({ memory }: RunResult, key: 'pssBytes' | 'anonymousBytes'): string[] {
  return [memory.before, memory.loaded, memory.after].map((reading) => megabytes(reading[key]))
}
