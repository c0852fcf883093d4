import { onnxRuntime } from '../artifacts/onnx-runtime.js'
import type { RuntimeConfig } from '../config/runtime-options.js'
import { PiscinaHost } from '../hosts/piscina-host.js'
import type { Ports } from '../models/context/ports.js'
import { replicaEntry } from '../platform/package-files.js'
import { environment, filePathOf, resolverArgv } from './worker-entries.js'

/** Returns the port that creates hosts as worker threads of this process. */
export function threadHosts(config: RuntimeConfig): Ports['hosts'] {
  return ({ importsModules, logLevel, ...order }) => {
    const entry = config.replicaEntry === undefined ? replicaEntry() : filePathOf(config.replicaEntry)
    const execArgv = [...resolverArgv(importsModules), ...(config.replicaExecArgv ?? [])]
    const env = config.replicaEnv ?? environment()
    const { niceIncrement, exitWaitMs } = config
    if (!importsModules) onnxRuntime.keepOpen()
    return () =>
      new PiscinaHost({ ...order, entry, execArgv, env, niceIncrement, exitWaitMs, logLevel: logLevel() })
  }
}
