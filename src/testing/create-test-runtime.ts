import { errors } from '../errors/errors.js'
import { Runtime } from '../runtime.js'
import { createLogger, takeLogger } from '../telemetry/logger.js'
import { TestClock } from './test-clock.js'
import { TestMachine } from './test-machine.js'
import { parseTestOptions, type TestRuntimeOptions } from './test-options.js'

/** A runtime for tests, and what tests do to it. */
export interface TestRuntime {
  /** The runtime, as `createRuntime` resolves with it. */
  readonly runtime: Runtime
  /** The clock of the runtime: deadlines, latencies, backoffs and idle times pass by `clock.advance(ms)` only. */
  readonly clock: TestClock
  /**
   * Ends a replica of the active version of a model, or of `version`, as a crash of its thread does; a replica inside a
   * run goes first. Resolves when everything that follows at once has happened.
   * @throws ERR_MODEL_NOT_FOUND if there is no such model or version, ERR_MODEL_UNAVAILABLE if it has no replica.
   */
  readonly crash: (name: string, version?: string) => Promise<void>
}

/**
 * Starts a runtime without threads, files and onnxruntime whose models are functions and whose time is the test's.
 * Resolves once the active versions serve.
 * @throws ERR_INVALID_OPTIONS, and ERR_MODEL_LOAD and what else `createRuntime` throws.
 */
export async function createTestRuntime(options: TestRuntimeOptions): Promise<TestRuntime> {
  const [given, input] = takeLogger(options, 'createTestRuntime')
  const { models, config } = parseTestOptions(input)
  const clock = new TestClock()
  const machine = new TestMachine(models, clock)
  const logger = given ?? createLogger(config.appName, config.logLevel)
  const runtime = await passUntil(clock, machine, Runtime.start(machine.ports(logger), config, logger))
  return { runtime, clock, crash: (name, version) => crash(runtime, clock, machine, name, version) }
}

/** Lets as much time pass as `starting` needs. */
async function passUntil<T>(clock: TestClock, machine: TestMachine, starting: Promise<T>): Promise<T> {
  let isOver = false
  const over = (): void => {
    isOver = true
  }
  starting.then(over, over)
  await clock.settle()
  while (!isOver) {
    if (machine.isWaiting) await clock.settle()
    else await clock.advanceToNext()
  }
  return starting
}

async function crash(
  { models }: Runtime,
  clock: TestClock,
  machine: TestMachine,
  name: string,
  version?: string,
): Promise<void> {
  // What was requested before is in a replica by then.
  await clock.settle()
  const label = version ?? models.getModel(name)?.version
  if (label === undefined || models.getModel(name, label) === undefined) {
    const what = version === undefined ? `model ${name} with an active version` : `${name}@${version}`
    throw new errors.ERR_MODEL_NOT_FOUND(`crash: there is no ${what}`, { model: name })
  }
  const [replica] = machine.replicasOf(name, label)
  if (replica === undefined) {
    throw new errors.ERR_MODEL_UNAVAILABLE(`crash: ${name}@${label} has no replica`, {
      model: name,
      version: label,
    })
  }
  replica.exit(new Error('crash() of the test'))
  await clock.settle()
}
