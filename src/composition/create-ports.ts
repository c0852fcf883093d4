import type { RuntimeConfig } from '../config/runtime-options.js'
import { Allocator } from '../memory/allocator.js'
import { sharedBallast } from '../memory/gc-ballast.js'
import { MemoryMeter } from '../memory/memory-meter.js'
import type { Ports } from '../models/context/ports.js'
import { inspectSource } from '../models/repository/inspect-source.js'
import { findInRepository, scanRepository } from '../models/repository/repository.js'
import { systemClock } from '../platform/clock.js'
import { coresPerProcess } from '../platform/cpu/usable-cores.js'
import { memoryLimit } from '../platform/memory-limit.js'
import { systemRandom } from '../platform/random.js'
import type { Logger } from '../telemetry/logger.js'
import { Shortfalls } from '../telemetry/shortfalls.js'
import { createArtifacts, createTrials } from './create-artifacts.js'
import { threadHosts } from './thread-hosts.js'

/**
 * Returns the ports of a runtime to this machine, and disables the telemetry of onnxruntime.
 * @throws ERR_INVALID_OPTIONS in a process that another runtime has started as its builder
 */
export function createPorts(config: RuntimeConfig, logger: Logger): Ports {
  // It must be set on the main thread and before the first replica, since native code does not see a worker's `env`.
  process.env.ORT_DISABLE_TELEMETRY ??= '1'
  const shortfalls = new Shortfalls(logger)
  return {
    clock: systemClock,
    random: systemRandom,
    hosts: threadHosts(config),
    repository: { scan: scanRepository, find: findInRepository },
    inspectSource,
    artifacts: createArtifacts(systemClock, config, logger, shortfalls),
    trials: createTrials(systemClock, config),
    memory: new MemoryMeter(systemClock),
    allocator: new Allocator(config.memory.allocator),
    ballast: sharedBallast(),
    shortfalls,
    cores: coresPerProcess(config.processes),
    memoryBytes: memoryLimit(),
  }
}
