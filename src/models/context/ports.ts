import type { Artifacts } from '../../artifacts/artifacts.js'
import type { BatchTrials } from '../../artifacts/builder/batch-trials.js'
import type { ReplicaHost } from '../../hosts/replica-host.js'
import type { Allocator } from '../../memory/allocator.js'
import type { GcBallast } from '../../memory/gc-ballast.js'
import type { MemoryMeter } from '../../memory/memory-meter.js'
import type { Clock } from '../../platform/clock.js'
import type { Random } from '../../platform/random.js'
import type { LogLevel, LogLine } from '../../protocol/replica/log-line.js'
import type { Shortfalls } from '../../telemetry/shortfalls.js'
import type { SourceFacts, SourceOrder } from '../repository/inspect-source.js'
import type { findInRepository, scanRepository } from '../repository/repository.js'
import type { HoldLock } from './locks.js'

/** The pool that hosts are created for. */
export interface HostOrder {
  readonly model: string
  readonly version: string
  /** True if a loader of the application runs in the hosts; it may import packages. */
  readonly importsModules: boolean
  /** True if native calls may have to take turns with those of other hosts. */
  readonly takesTurns: boolean
  /** Returns the minimum log level; it is called for each new host. */
  readonly logLevel: () => LogLevel
  readonly onLog: (line: LogLine) => void
}

/** Everything that `src/models` needs of the machine; `src/composition` creates the real ports. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  /** Returns a function that creates hosts of one pool. */
  readonly hosts: (order: HostOrder) => () => ReplicaHost
  /** Reads model directories. */
  readonly repository: { readonly scan: typeof scanRepository; readonly find: typeof findInRepository }
  /** Checks the file or folder of a version before anything is started for it. */
  readonly inspectSource: (order: SourceOrder) => Promise<SourceFacts>
  readonly artifacts: Pick<Artifacts, 'prepare' | 'release' | 'close'>
  /** Runs trial batches that could crash a process in a process of their own. */
  readonly trials: Pick<BatchTrials, 'run' | 'close'>
  /** Measures the memory of this process. */
  readonly memory: Pick<MemoryMeter, 'read' | 'recent' | 'last'>
  /** Returns freed memory to the operating system. */
  readonly allocator: Pick<Allocator, 'reclaim' | 'stats' | 'whileLoading' | 'noteShortfall'>
  /** Keeps V8 from collecting garbage once for every few outputs. */
  readonly ballast: Pick<GcBallast, 'join' | 'leave' | 'count'>
  readonly shortfalls: Shortfalls
  /** Number of cores from which `auto` derives the number of replicas. */
  readonly cores: number
  /** Memory limit of this process. */
  readonly memoryBytes: number
  /** Checks the order of locks, in tests. */
  readonly hold?: HoldLock
}
