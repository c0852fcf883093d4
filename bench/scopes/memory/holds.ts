import { runChild } from '../../harness/child.js'
import { atMost, reported } from '../../harness/findings.js'
import { median } from '../../harness/latency.js'
import type { Finding } from '../../harness/scope.js'
import { HEAVY, HEAVY_NAMES, type HeavyName } from '../../subjects/heavy.js'
import { CHILD_LIMIT_MS, type MemoryFiles, type MemoryOptions } from './files.js'
import { type HoldOrder, type HoldOutcome, KEEPERS, type Keeper } from './order.js'

/** Number of replicas whose memory is compared with that of one replica. */
const MANY = 4
const MAX_REPLICAS_RATIO = 1.3
const MAX_LEFT_SHARE = 0.05
const MAX_LOAD_RATIO = 0.35

/** Outcomes of loading and unloading one model. */
export interface Holds {
  readonly one: Readonly<Record<Keeper, HoldOutcome>>
  /** Outcomes of interleaved rounds with several replicas. */
  readonly many: Readonly<Record<Keeper, readonly HoldOutcome[]>>
  readonly unloads: Readonly<Record<Keeper, HoldOutcome>>
}

/** Measures the memory that each model takes, and the memory that is left after it was unloaded. */
export async function measureHolds(
  files: MemoryFiles,
  options: MemoryOptions,
): Promise<Record<HeavyName, Holds>> {
  const holds: Partial<Record<HeavyName, Holds>> = {}
  for (const name of HEAVY_NAMES) {
    const hold = (keeper: Keeper, replicas: number, rounds: number): Promise<HoldOutcome> => {
      const { input } = HEAVY[name]
      const order: HoldOrder = {
        keeper,
        source: files.heavy[name],
        cacheDir: files.cacheDir,
        input,
        replicas,
        rounds,
      }
      return runChild(new URL('./hold-child.js', import.meta.url), order, CHILD_LIMIT_MS)
    }
    const many: Record<Keeper, HoldOutcome[]> = { runtime: [], naive: [] }
    for (let round = 0; round < options.rounds; round += 1) {
      for (const keeper of KEEPERS) many[keeper].push(await hold(keeper, MANY, 1))
    }
    const both = async (replicas: number, rounds: number): Promise<Record<Keeper, HoldOutcome>> => ({
      runtime: await hold('runtime', replicas, rounds),
      naive: await hold('naive', replicas, rounds),
    })
    holds[name] = { many, one: await both(1, 1), unloads: await both(MANY, options.unloads) }
    process.stderr.write(`${HEAVY[name].title}: loads and unloads are measured\n`)
  }
  return holds as Record<HeavyName, Holds>
}

export function holdFindings(name: HeavyName, { one, many, unloads }: Holds): Finding[] {
  const { title, weightBytes } = HEAVY[name]
  const { heldBytes, firstReadyMs, readyMs } = mediansOf(many)
  const replicasRatio = (keeper: Keeper): number => heldBytes(keeper) / one[keeper].heldPssBytes
  const leftShare = (after: (outcome: HoldOutcome) => number): number =>
    (after(unloads.runtime) - unloads.runtime.privateBytesBefore) / weightBytes
  const shareSinceStart = (keeper: Keeper): number => {
    const { anonymousBytesAtStart, anonymousBytesAtEnd } = unloads[keeper]
    return (anonymousBytesAtEnd - anonymousBytesAtStart) / weightBytes
  }
  const rounds = unloads.runtime.privateBytesAfter.length
  const replicas = `${title}: memory of ${MANY} replicas / of 1 replica`
  const sinceStart = `${title}: memory left after ${rounds} rounds / weights, with one-time allocations`
  const load = `${title}: load of ${MANY} replicas from the cache / by the naive pool`
  return [
    atMost(replicas, replicasRatio('runtime'), MAX_REPLICAS_RATIO),
    reported(`${replicas}, naive pool`, replicasRatio('naive')),
    atMost(`${title}: memory left 1 s after an unload / weights`, leftShare(first), MAX_LEFT_SHARE),
    atMost(`${title}: memory left after ${rounds} rounds / weights`, leftShare(last), MAX_LEFT_SHARE),
    reported(sinceStart, shareSinceStart('runtime')),
    reported(`${sinceStart}, naive pool`, shareSinceStart('naive')),
    atMost(
      `${load}, first load of the process`,
      firstReadyMs('runtime') / firstReadyMs('naive'),
      MAX_LOAD_RATIO,
    ),
    atMost(`${load}, later loads`, readyMs('runtime') / readyMs('naive'), MAX_LOAD_RATIO),
  ]
}

export function holdFigures({ one, many, unloads }: Holds): string[][] {
  const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
  const { heldBytes, firstReadyMs, readyMs } = mediansOf(many)
  return [
    [
      '',
      '1 replica, MB',
      `${MANY} replicas, MB`,
      'first load, ms',
      'later loads, ms',
      'before the rounds, MB',
      'after the rounds, MB',
    ],
    ...KEEPERS.map((keeper) => [
      keeper,
      megabytes(one[keeper].heldPssBytes),
      megabytes(heldBytes(keeper)),
      firstReadyMs(keeper).toFixed(0),
      readyMs(keeper).toFixed(0),
      megabytes(unloads[keeper].privateBytesBefore),
      megabytes(last(unloads[keeper])),
    ]),
  ]
}

function mediansOf(
  many: Holds['many'],
): Record<'heldBytes' | 'firstReadyMs' | 'readyMs', (keeper: Keeper) => number> {
  return {
    heldBytes: (keeper) => median(many[keeper].map(({ heldPssBytes }) => heldPssBytes)),
    firstReadyMs: (keeper) => median(many[keeper].map(({ firstReadyMs }) => firstReadyMs)),
    readyMs: (keeper) => median(many[keeper].flatMap(({ readyMs }) => readyMs)),
  }
}

function first({ privateBytesAfter }: HoldOutcome): number {
  return privateBytesAfter[0] ?? Number.NaN
}

function last({ privateBytesAfter }: HoldOutcome): number {
  return privateBytesAfter.at(-1) ?? Number.NaN
}
