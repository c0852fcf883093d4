import { setImmediate as nextTurn } from 'node:timers/promises'
import { holdLock } from '../../src/models/context/locks.js'
import { checkCalm, checkClosed, checkEnd, checkStep } from './checks.js'
import { replaceGlobals } from './globals.js'
import type { Command, Program } from './program.js'
import { Random } from './random.js'
import { SimulatedClock } from './simulated-clock.js'
import { World } from './world.js'

/** The time in which all work completes that does not hang. */
const CALM_MS = 2_000
/** The longest time that a startup takes. */
const START_MS = 1_000
/** The time that a close may take beyond its timeout, to end threads and to finish. */
const CLOSE_SLACK_MS = 10_000
/** The longest time that work takes to end after a hanging call returns. */
const END_MS = 20_000

export interface Result {
  readonly violations: readonly string[]
  /** The number of commands that were begun. */
  readonly steps: number
  /** The number of events, at each of which a program can be interrupted. */
  readonly points: number
  /** A hash that is equal for equal runs. */
  readonly hash: string
  readonly lines: readonly string[]
}

/** Runs a program, and returns what was violated. */
export async function simulate(program: Program, keepsTrace = false, hold = holdLock): Promise<Result> {
  const chance = new Random(program.seed)
  const clock = new SimulatedClock(chance)
  const restore = replaceGlobals(clock, chance)
  const world = new World(program, chance, clock, keepsTrace, hold)
  const unhandled = (error: unknown): void => world.violated(`nobody has handled: ${(error as Error)?.stack}`)
  const warned = (warning: Error): void => world.violated(`a warning: ${warning.message}`)
  process.on('unhandledRejection', unhandled)
  process.on('warning', warned)
  let points = 0
  try {
    interrupt(world, program)
    points = await run(world, program)
  } catch (error) {
    world.violated(`the simulation stops: ${(error as Error).stack}`)
  } finally {
    restore()
    // Node reports unhandled rejections in this turn.
    await nextTurn()
    process.off('unhandledRejection', unhandled)
    process.off('warning', warned)
  }
  const { violations, trace } = world
  return { violations, steps: program.commands.length, points, hash: trace.hash, lines: trace.lines }
}

/** Returns the number of events before the end of the program. */
async function run(world: World, program: Program): Promise<number> {
  const { clock } = world
  let isStarting = true
  const startup = world.runtime.lifecycle.startup().finally(() => {
    isStarting = false
  })
  world.operations.follow('startup', startup)
  await clock.settle()
  while (isStarting && program.isHasty !== true && (await clock.next(START_MS))) {}
  for (const command of program.commands) await step(world, command)
  await clock.settle()
  checkStep(world)
  const { points } = clock
  if (program.endsCalmly === true && !world.isClosing) await calmDown(world)
  if (program.flaw === 'lost timer') clock.setTimeout(() => undefined, 10 * END_MS)
  await close(world, program.closeMs)
  checkClosed(world)
  world.conditions.calm()
  world.application.finishAll()
  const endsAtMs = clock.now() + END_MS
  while (clock.now() < endsAtMs) {
    world.thaw()
    await clock.advance(1_000)
  }
  checkStep(world)
  checkEnd(world)
  return points
}

async function step(world: World, { pace = 'settled', ...action }: Command): Promise<void> {
  if (pace === 'settled') {
    await world.clock.settle()
    checkStep(world)
  } else {
    for (let hops = 0; hops < pace; hops += 1) await Promise.resolve()
  }
  await world.perform(action)
}

/** Lets all calls return and all work complete. */
async function calmDown(world: World): Promise<void> {
  world.conditions.calm()
  const endsAtMs = world.clock.now() + CALM_MS
  while (world.clock.now() < endsAtMs) {
    world.thaw()
    await world.clock.advance(250)
  }
  if (!world.isClosing) checkCalm(world)
}

async function close(world: World, timeoutMs: number): Promise<void> {
  const { clock } = world
  world.close(timeoutMs)
  const endsAtMs = clock.now() + timeoutMs + CLOSE_SLACK_MS
  await clock.settle()
  while (!world.isClosed && (await clock.next(endsAtMs))) {}
  if (!world.isClosed)
    world.violated(`a close with ${timeoutMs} ms is not over after ${timeoutMs + CLOSE_SLACK_MS} ms`)
}

function interrupt(world: World, { interruption, flaw }: Program): void {
  if (flaw === 'endless ticks') {
    const again = (): void => world.clock.nextTick(again)
    again()
  }
  if (interruption === undefined) return
  const { point, microtasks, action } = interruption
  world.clock.onPoint = async (at) => {
    if (at !== point) return
    for (let hops = 0; hops < microtasks; hops += 1) await Promise.resolve()
    void world.perform(action)
  }
}
