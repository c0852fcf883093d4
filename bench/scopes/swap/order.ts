import type { MemoryReading } from '../../../examples/speech/memory.js'
import type { ReplayReply } from '../../../examples/speech/replay.js'
import type { LatencyFigures } from '../../harness/latency.js'

export const VERSIONS = ['5', '6'] as const
export type Version = (typeof VERSIONS)[number]

/** One of the fixed questions: a window and a state, both real. */
export interface SwapQuestion {
  readonly input: Float32Array
  readonly state: Float32Array
}

export interface SwapOrder {
  readonly model: string
  readonly models: Readonly<Record<Version, string>>
  /** Folder of artifacts. */
  readonly cacheDir: string
  readonly questions: readonly SwapQuestion[]
  /** What plain onnxruntime-node answers to each question, by version. */
  readonly references: ReplayReply
  readonly swaps: number
  readonly callers: number
}

export interface MemoryAt extends MemoryReading {
  readonly swaps: number
}

export interface SwapOutcome {
  readonly durationMs: number
  readonly submitted: number
  readonly answered: Readonly<Record<Version, number>>
  readonly rejected: Readonly<Record<string, number>>
  /** Requests that never settled. */
  readonly open: number
  readonly wrongVersion: number
  readonly foreign: number
  readonly swaps: number
  readonly toPromote: LatencyFigures
  readonly toDrained: LatencyFigures
  readonly duringSwap: LatencyFigures
  readonly steady: LatencyFigures
  /** In order of time, with no request open. */
  readonly memory: readonly MemoryAt[]
}
