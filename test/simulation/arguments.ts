import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Program } from './program.js'

const DEFAULT_STEPS = 100_000
const MAX_SEED = 2 ** 31 - 1

/** The command line of `npm run simulate`. */
export interface Arguments {
  readonly seed: number
  readonly steps: number
  /** The path from the program of the seed to a smaller one; undefined for whole programs. */
  readonly path: string | undefined
  /** A program to run instead of those that follow from a seed. */
  readonly program: Program | undefined
  readonly workers: number
  /** True if a failing program is reported unchanged, without the search for a smaller one. */
  readonly whole: boolean
  /** True if all events of a single program are printed. */
  readonly trace: boolean
}

export const USAGE = `npm run simulate -- [--seed S] [--steps N] [--workers W] [--whole]   random programs, N steps of them
npm run simulate -- --seed S --path P [--trace]                       one program, as a failure has printed it
npm run simulate -- --program FILE [--trace]                a program from a JSON file`

/** @throws Error with a message for the user. */
export function parseArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      steps: { type: 'string' },
      path: { type: 'string' },
      program: { type: 'string' },
      workers: { type: 'string' },
      trace: { type: 'boolean', default: false },
      whole: { type: 'boolean', default: false },
    },
  })
  const { path, program, trace, whole } = values
  const isSingle = path !== undefined || program !== undefined
  if (path !== undefined && values.seed === undefined)
    throw new Error('--path needs the --seed that it belongs to')
  if (program !== undefined && (path ?? values.seed) !== undefined) {
    throw new Error('--program goes with neither --seed nor --path: the file has the seed')
  }
  if (path !== undefined && !/^\d+(:\d+)*$/.test(path))
    throw new Error(`--path ${path} is not of the form 0:1:2`)
  if (isSingle && (whole || (values.steps ?? values.workers) !== undefined)) {
    throw new Error('--steps, --workers and --whole are for random programs, not for a single one')
  }
  if (trace && !isSingle) throw new Error('--trace is for a single program: give --path or --program')
  return {
    seed: numberOf('seed', values.seed, 0, MAX_SEED) ?? Math.floor(Math.random() * MAX_SEED),
    steps: numberOf('steps', values.steps, 1, Number.MAX_SAFE_INTEGER) ?? DEFAULT_STEPS,
    path,
    program: program === undefined ? undefined : readProgram(program),
    workers: isSingle ? 1 : (numberOf('workers', values.workers, 1, 64) ?? 2),
    trace,
    whole,
  }
}

function numberOf(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new Error(`--${name} ${text} is not an integer from ${min} to ${max}`)
}

function readProgram(file: string): Program {
  try {
    const program = JSON.parse(readFileSync(file, 'utf8')) as Program
    if (Array.isArray(program.commands) && typeof program.seed === 'number') return program
    throw new Error('it has no `seed`, or no `commands`')
  } catch (error) {
    throw new Error(`--program ${file} cannot be read: ${(error as Error).message}`)
  }
}
