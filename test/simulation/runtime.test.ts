import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { programs } from './arbitraries.js'
import type { Program } from './program.js'
import { seedOf } from './random.js'
import { simulate } from './simulate.js'

const STEPS = process.env.SIMULATION_STEPS ?? '20000'
const MAIN = ['--import', 'tsx', 'test/simulation/main.ts']

interface Ended {
  readonly code: number
  readonly text: string
}

/** Runs the script of `npm run simulate`. */
async function run(...args: string[]): Promise<Ended> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...MAIN, ...args])
    return { code: 0, text: stdout }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, text: stdout + stderr }
  }
}

async function runProgram(program: Program): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'tbcoin-simulation-'))
  try {
    const file = join(folder, 'program.json')
    writeFileSync(file, JSON.stringify(program))
    return await run('--program', file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const small: Program = {
  seed: 1,
  settings: { maxQueue: 10 },
  models: ['a'],
  commands: [{ kind: 'predict', model: 'a' }],
  closeMs: 1_000,
}

describe('random programs over a whole runtime', () => {
  it('keep every promise', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const { code, text } = await run('--seed', `${seed}`, '--steps', STEPS)
    expect(text).toMatch(/nothing was violated/)
    expect(code).toBe(0)
  })

  it('happen in the same way with the same seed', async () => {
    for (let index = 0; index < 40; index += 1) {
      const [program] = fc.sample(programs, { seed: seedOf(3, index), numRuns: 1 }) as [Program]
      const [first, second] = [await simulate(program, true), await simulate(program, true)]
      expect(second.lines).toEqual(first.lines)
      expect(second.hash).toBe(first.hash)
    }
  })

  it('happen in another way with another seed', async () => {
    const hashes = [1, 2, 3].map(async (seed) => (await simulate({ ...small, seed })).hash)
    expect(new Set(await Promise.all(hashes)).size).toBe(3)
  })
})

describe('npm run simulate', () => {
  it('runs a program from a file', async () => {
    expect(await runProgram(small)).toMatchObject({
      code: 0,
      text: expect.stringMatching(/nothing was violated/),
    })
  })

  it('ends with code 1 and reports the violation', async () => {
    const { code, text } = await runProgram({ ...small, flaw: 'wrong answer' })
    expect(code).toBe(1)
    expect(text).toMatch(/the program of seed 1 has failed:\nat \d+ ms: request 1 to a@1 was answered with/)
  })

  it.each([
    [['--seed', 'x'], /--seed x is not an integer/],
    [['--steps', '0'], /--steps 0 is not an integer/],
    [['--path', '0:1'], /--path needs the --seed/],
    [['--seed', '1', '--path', 'a'], /--path a is not of the form/],
    [['--program', '/nowhere.json'], /--program \/nowhere.json cannot be read/],
    [['--what'], /Unknown option '--what'/],
  ])('refuses %s', async (args, message) => {
    const { code, text } = await run(...args)
    expect(code).toBe(1)
    expect(text).toMatch(message)
    expect(text).toMatch(/npm run simulate -- /)
  })
})
