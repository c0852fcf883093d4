import fc from 'fast-check'
import { programs } from './arbitraries.js'
import type { Program } from './program.js'
import { type Result, simulate } from './simulate.js'

/** The time limit for shrinking, after which the smallest program found so far is reported. */
const SHRINK_MS = 60_000

/** A program in which something was violated. */
export interface Failure {
  readonly seed: number
  /** The path by which fast-check finds the program again from its seed. */
  readonly path: string
  readonly program: Program
  readonly violations: readonly string[]
}

export interface Try {
  readonly result: Result
  readonly failure: Failure | undefined
}

export interface TryOptions {
  readonly path?: string | undefined
  /** True if smaller programs are tried after a failure; the default. */
  readonly shrinks?: boolean
  /** Called before each run. */
  readonly onRun?: () => void
}

/**
 * Runs the program of a seed and, if it violates something, the smaller ones that fast-check derives from it;
 * with `path` only the one at the end of that path.
 */
export async function tryProgram(
  seed: number,
  { path = '', shrinks = true, onRun }: TryOptions,
): Promise<Try> {
  let first: Result | undefined
  const last: { violations: readonly string[] } = { violations: [] }
  const property = fc.asyncProperty(programs, async (program) => {
    onRun?.()
    const result = await simulate(program)
    first ??= result
    if (result.violations.length === 0) return
    last.violations = result.violations
    throw new Error(result.violations.join('\n'))
  })
  const details = await fc.check(property, {
    seed,
    path,
    numRuns: 1,
    endOnFailure: !shrinks || path !== '',
    interruptAfterTimeLimit: SHRINK_MS,
    markInterruptAsFailure: false,
  })
  const result = first as Result
  if (!details.failed || details.counterexample === null) return { result, failure: undefined }
  const [program] = details.counterexample
  const { violations } = await simulate(program)
  return { result, failure: { seed, path: details.counterexamplePath ?? '', program, violations } }
}
