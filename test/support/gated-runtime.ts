import type { Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterEach } from 'vitest'
import { Gate } from './load-gate.js'
import { quietRuntime } from './runtime-harness.js'

/** The runtime of the current test, after `start()`. */
export let runtime: Runtime
const gates: Gate[] = []

/** Returns a gate that is opened for good after the test. */
export function gate(): Gate {
  const created = new Gate()
  gates.push(created)
  return created
}

/** Starts a runtime that is closed after the test. */
export async function start(options: RuntimeOptions = {}): Promise<Runtime> {
  runtime = await quietRuntime(options)
  return runtime
}

/** Closes the gates and the runtime after each test; a test may call it earlier. */
export async function cleanUp(): Promise<void> {
  for (const each of gates.splice(0)) each.openForGood()
  await runtime?.close()
}

afterEach(cleanUp)
