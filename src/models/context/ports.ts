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

/** The pool that hosts are made for. */
export interface HostOrder {
  readonly model: string
  readonly version: string
  /** True if a loader of the application runs in them, which may import packages. */
  readonly importsModules: boolean
  /** True if native calls may have to take turns with those of other hosts. */
  readonly takesTurns: boolean
  /** The level is asked for anew for each host. */
  readonly logLevel: () => LogLevel
  readonly onLog: (line: LogLine) => void
}

/** All that this folder needs of the machine it runs on; `src/composition` makes the real ones. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  /** Returns what makes the hosts of one pool. */
  readonly hosts: (order: HostOrder) => () => ReplicaHost
  /** Reads model directories. */
  readonly repository: { readonly scan: typeof scanRepository; readonly find: typeof findInRepository }
  /** Looks at a file or folder before anything is started for it. */
  readonly inspectSource: (order: SourceOrder) => Promise<SourceFacts>
  readonly artifacts: Pick<Artifacts, 'prepare' | 'release' | 'close'>
  /** Where batches are tried with rows that could be the end of a process. */
  readonly trials: Pick<BatchTrials, 'run' | 'close'>
  /** Measures what this process holds. */
  readonly memory: Pick<MemoryMeter, 'read' | 'recent' | 'last'>
  /** Gives freed memory back to the system. */
  readonly allocator: Pick<Allocator, 'reclaim' | 'stats' | 'whileLoading' | 'noteShortfall'>
  /** Keeps V8 from collecting once for every few answers. */
  readonly ballast: Pick<GcBallast, 'join' | 'leave' | 'count'>
  readonly shortfalls: Shortfalls
  /** The cores that `auto` replicas go by. */
  readonly cores: number
  /** The memory that this process may hold. */
  readonly memoryBytes: number
  /** Checks the order of locks, in tests. */
  readonly hold?: HoldLock
}
