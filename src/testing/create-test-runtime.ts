import { errors } from '../errors/errors.js'
import { Runtime } from '../runtime.js'
import type { CloseReport } from '../runtime-events.js'
import { createLogger, takeLogger } from '../telemetry/logger.js'
import { parseTestOptions } from './parse-test-options.js'
import { TestClock } from './test-clock.js'
import { TestMachine } from './test-machine.js'
import type { TestRuntimeOptions } from './test-runtime-options.js'

/** A runtime for tests, with its clock. `await using` closes it as `close` does. */
export interface TestRuntime extends AsyncDisposable {
  /** The runtime, as `createRuntime` resolves with it. */
  readonly runtime: Runtime
  /** The clock of the runtime: deadlines, latencies, backoffs and idle times pass by `clock.advance(ms)` only. */
  readonly clock: TestClock
  /**
   * Ends a replica of the active version of a model, or of `version`, as a crash of its thread does; a replica inside a
   * run goes first. Resolves when everything that follows at once has happened.
   * @throws ERR_MODEL_NOT_FOUND or ERR_VERSION_NOT_FOUND if there is none, ERR_MODEL_UNAVAILABLE if it has no replica.
   */
  readonly crash: (name: string, version?: string) => Promise<void>
  /**
   * Closes the runtime as `runtime.close` does, and lets as much time pass as that takes, for the end of a test.
   * `runtime.close` by itself waits for runs under way until the test advances the clock.
   */
  readonly close: (options?: { timeoutMs?: number }) => Promise<CloseReport>
}

/**
 * Starts a runtime without threads, files and onnxruntime whose models are functions and whose time is the test's. It
 * reads no environment variables. Resolves once the active versions serve.
 * @throws ERR_INVALID_OPTIONS, and ERR_MODEL_LOAD and what else `createRuntime` throws.
 */
export async function createTestRuntime(options: TestRuntimeOptions): Promise<TestRuntime> {
  const [given, input] = takeLogger(options, 'createTestRuntime')
  const { models, config } = parseTestOptions(input)
  const clock = new TestClock()
  const machine = new TestMachine(models, clock)
  const logger = given ?? createLogger(config.appName, config.logLevel)
  const starting = Runtime.start(machine.ports(logger), config, logger)
  const runtime = await passUntil(clock, starting, () => machine.isWaiting)
  const close: TestRuntime['close'] = (options) => passUntil(clock, runtime.close(options))
  return {
    runtime,
    clock,
    crash: (name, version) => crash(runtime, clock, machine, name, version),
    close,
    [Symbol.asyncDispose]: async () => {
      await close()
    },
  }
}

/** Lets as much time pass as `work` needs; none while `isWaiting()`, for code of the test that takes real time. */
async function passUntil<T>(
  clock: TestClock,
  work: Promise<T>,
  isWaiting = (): boolean => false,
): Promise<T> {
  let isOver = false
  const over = (): void => {
    isOver = true
  }
  work.then(over, over)
  await clock.settle()
  while (!isOver) {
    if (isWaiting()) await clock.settle()
    else await clock.advanceToNext()
  }
  return work
}

async function crash(
  { models }: Runtime,
  clock: TestClock,
  machine: TestMachine,
  name: string,
  version?: string,
): Promise<void> {
  // Earlier requests are in a replica by then.
  await clock.settle()
  const model = models.getModel(name, version)
  if (model === undefined) {
    const isKnown = version !== undefined && models.listModels().some((known) => known.name === name)
    if (isKnown)
      throw new errors.ERR_VERSION_NOT_FOUND(`crash: model ${name} has no version ${version}`, {
        model: name,
      })
    throw new errors.ERR_MODEL_NOT_FOUND(`crash: there is no model ${name} with an active version`, {
      model: name,
    })
  }
  const label = model.version
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
