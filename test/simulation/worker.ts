import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Program } from './program.js'
import { seedOf } from './random.js'
import { type Failure, tryProgram } from './search.js'
import { simulate } from './simulate.js'

/** The programs that one process has to run. */
export type Order =
  | {
      readonly kind: 'search'
      readonly seed: number
      readonly first: number
      readonly every: number
      readonly steps: number
      readonly shrinks: boolean
    }
  | { readonly kind: 'path'; readonly seed: number; readonly path: string }
  | { readonly kind: 'program'; readonly program: Program }

/** A report of such a process. */
export type Report =
  /** Sent before each run, so that a program that never ends can be identified. */
  | { readonly kind: 'begins'; readonly seed: number }
  | { readonly kind: 'ran'; readonly steps: number }
  | {
      readonly kind: 'failed'
      readonly failure: Omit<Failure, 'path'> & { readonly path: string | undefined }
    }
  | { readonly kind: 'traced'; readonly lines: readonly string[]; readonly hash: string }

const send = (report: Report): void => void process.send?.(report)

process.once('message', async (order: Order) => {
  if (order.kind === 'search') await search(order)
  else if (order.kind === 'path') await runSeed(order.seed, order.path)
  else await runProgram(order.program, undefined)
  process.disconnect()
})

async function search({
  seed,
  first,
  every,
  steps,
  shrinks,
}: Extract<Order, { kind: 'search' }>): Promise<void> {
  // Stack traces are not read here, and a program that is run again has them.
  Error.stackTraceLimit = 0
  let left = steps
  for (let index = first; left > 0; index += every) {
    const result = await runSeed(seedOf(seed, index), undefined, shrinks)
    if (result === undefined) return
    left -= result
  }
}

/** Runs the program of a seed; returns its number of steps, or undefined if something was violated. */
async function runSeed(seed: number, path?: string, shrinks = true): Promise<number | undefined> {
  const onRun = (): void => send({ kind: 'begins', seed })
  onRun()
  await nextTurn()
  const { result, failure } = await tryProgram(seed, { path, shrinks, onRun })
  send({ kind: 'ran', steps: result.steps })
  if (failure === undefined) return result.steps
  if (path === undefined) send({ kind: 'failed', failure })
  else await runProgram(failure.program, path, seed)
  return undefined
}

async function runProgram(program: Program, path: string | undefined, seed = program.seed): Promise<void> {
  const { violations, steps, lines, hash } = await simulate(program, true)
  send({ kind: 'ran', steps })
  send({ kind: 'traced', lines, hash })
  if (violations.length > 0) send({ kind: 'failed', failure: { seed, path, program, violations } })
}
