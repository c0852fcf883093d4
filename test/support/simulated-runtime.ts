import { afterEach, expect } from 'vitest'
import { parseOptions } from '../../src/config/parse-options.js'
import { runtimeSchema } from '../../src/config/runtime-options.js'
import type { RuntimeOptions } from '../../src/create-runtime.js'
import { Runtime } from '../../src/runtime.js'
import { takeLogger } from '../../src/telemetry/logger.js'
import { FakeMachine } from './fake-machine.js'
import { SimulatedGate } from './simulated-gate.js'
import { testLogger } from './test-logger.js'

/** Time that a runtime has to close in after a test; nothing waits for it. */
const CLOSE_MS = 60 * 60_000

/** The runtime of the test that runs, from `start()` on. */
export let runtime: Runtime
/** The machine of the test that runs; a new one for each test. */
export let machine = new FakeMachine()
const gates: SimulatedGate[] = []

/** Returns a gate that is opened for good when the test is over. */
export function gate(): SimulatedGate {
  const made = new SimulatedGate()
  gates.push(made)
  return made
}

/** Returns a runtime over the fake machine, which is closed when the test is over; its startup has not begun. */
export function create(options: RuntimeOptions = {}): Runtime {
  const [logger = testLogger(() => undefined), input] = takeLogger(options, 'createRuntime')
  const config = parseOptions(runtimeSchema, { replicas: 1, ...input }, 'createRuntime')
  runtime = Runtime.over(machine.ports(logger), config, logger)
  return runtime
}

/** Starts a runtime that `create` makes; rejects as `createRuntime` does. */
export async function start(options: RuntimeOptions = {}): Promise<Runtime> {
  const made = create(options)
  await made.lifecycle.startup().catch((error: Error) => {
    throw error.cause instanceof Error ? error.cause : error
  })
  return made
}

/** Lets `ms` pass, with all that happens meanwhile. */
export function advance(ms: number): Promise<void> {
  return machine.clock.advance(ms)
}

/** Closes the runtime after each test, for those who need it earlier, and checks that nothing is left. */
export async function cleanUp(): Promise<void> {
  for (const each of gates.splice(0)) each.openForGood()
  const [closed, left] = [runtime as Runtime | undefined, machine]
  machine = new FakeMachine()
  if (closed === undefined || closed.state === 'uninitialized') return
  const closing = closed.close({ timeoutMs: CLOSE_MS })
  await left.clock.advance(CLOSE_MS)
  await closing
  await left.clock.settle()
  expect({ threads: left.alive.length, timers: left.clock.pending }).toEqual({ threads: 0, timers: 0 })
}

/** Cleans up after each test of a file, which calls this once; unit tests share the modules that they import. */
export function useSimulatedRuntime(): void {
  afterEach(cleanUp)
}
