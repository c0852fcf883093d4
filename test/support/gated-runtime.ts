import type { Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterEach } from 'vitest'
import { Gate } from './load-gate.js'
import { quietRuntime } from './runtime-harness.js'

/** The runtime of the test that runs, from `start()` on. */
export let runtime: Runtime
const gates: Gate[] = []

/** A gate that is opened for good when the test is over. */
export function gate(): Gate {
  const created = new Gate()
  gates.push(created)
  return created
}

/** A runtime that is closed when the test is over. */
export async function start(options: RuntimeOptions = {}): Promise<Runtime> {
  runtime = await quietRuntime(options)
  return runtime
}

/** What happens after each test, for those who need it earlier. */
export async function cleanUp(): Promise<void> {
  for (const each of gates.splice(0)) each.openForGood()
  await runtime?.close()
}

afterEach(cleanUp)
