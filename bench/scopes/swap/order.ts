import type { MemoryReading } from '../../../examples/speech/memory.js'
import type { ReplayReply } from '../../../examples/speech/replay.js'
import type { LatencyFigures } from '../../harness/latency.js'

export const VERSIONS = ['5', '6'] as const
export type Version = (typeof VERSIONS)[number]

/** One of the fixed inputs: a real window of sound and a real state. */
export interface SwapInput {
  readonly input: Float32Array
  readonly state: Float32Array
}

export interface SwapOrder {
  readonly model: string
  readonly models: Readonly<Record<Version, string>>
  /** Artifact folder of the runtime. */
  readonly cacheDir: string
  readonly inputs: readonly SwapInput[]
  /** Outputs of plain onnxruntime-node for each input, by version. */
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
  /** Number of requests by the version that their outputs show. */
  readonly completed: Readonly<Record<Version, number>>
  /** Number of rejected requests, by error code. */
  readonly rejected: Readonly<Record<string, number>>
  /** Number of requests that never settled. */
  readonly open: number
  /** Number of requests with the outputs of a version that was not active. */
  readonly wrongVersion: number
  /** Number of requests with outputs of no version. */
  readonly unknownOutputs: number
  readonly swaps: number
  readonly toPromote: LatencyFigures
  readonly toDrained: LatencyFigures
  readonly duringSwap: LatencyFigures
  readonly steady: LatencyFigures
  /** Memory in order of time, measured while no request was open. */
  readonly memory: readonly MemoryAt[]
}
