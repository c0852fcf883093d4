import { isMainThread } from 'node:worker_threads'
import { createPorts } from './composition/create-ports.js'
import { LifecycleConfig, unknownVariables } from './config/lifecycle-config.js'
import type { RuntimeConfigInput } from './config/runtime-options.js'
import { errors } from './errors/errors.js'
import { missingGrant } from './platform/permission.js'
import { asRuntimeError } from './protocol/error-codec.js'
import { Runtime } from './runtime.js'
import { createLogger, type Logger, takeLogger } from './telemetry/logger.js'

/** Options of `createRuntime`. */
export interface RuntimeOptions extends RuntimeConfigInput {
  /** Logger for all log lines, for example the host's pino logger. Default: a logger on stderr. */
  logger?: Logger
}

/**
 * Starts a runtime; resolves when the configured models serve. If it rejects, everything that it started is stopped.
 * @throws ERR_INVALID_OPTIONS, ERR_INVALID_MANIFEST, ERR_STARTUP and the errors of `loadModel`
 */
export function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return create(options).catch((error: unknown) => {
    // Node itself may throw other errors, for example in a working directory that was removed.
    throw asRuntimeError('ERR_STARTUP', 'the runtime cannot be started', error)
  })
}

async function create(options: RuntimeOptions): Promise<Runtime> {
  const [customLogger, input] = takeLogger(options, 'createRuntime')
  const config = LifecycleConfig.load(input)
  if (!isMainThread && !config.allowWorkerThread) {
    throw new errors.ERR_INVALID_OPTIONS(
      'createRuntime: this is a worker thread, where no exit hook keeps a terminate() from aborting the process; create the runtime on the main thread, or pass allowWorkerThread: true',
    )
  }
  const grant = missingGrant('worker')
  if (grant !== undefined) {
    throw new errors.ERR_INVALID_OPTIONS(
      `createRuntime: the permission model does not allow this process to start threads, which run the models; ${grant}`,
    )
  }
  const logger = customLogger ?? createLogger(config.appName, config.logLevel)
  const ports = createPorts(config, logger)
  const unknown = unknownVariables()
  if (unknown !== undefined) logger.warn({ ...unknown }, 'unknown environment variables ignored')
  return Runtime.start(ports, config, logger)
}
