import type { GcBallast } from '../../memory/gc-ballast.js'
import type { EncodedOutputs } from '../../protocol/replica/replica-replies.js'
import type { RunTask } from '../../protocol/replica/replica-task.js'
import type { BatchPlan } from '../../tensors/batch/batch-plan.js'
import { RecycledBuffers } from '../../tensors/recycled-buffers.js'
import type { Signature, Tensor } from '../../tensors/tensor.js'
import type { Batching } from '../batching/batching.js'
import { OutputDecoder } from '../packs/output-decoder.js'
import { checkIntact, type Packed, type PackedRun, writePack } from '../packs/write-pack.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { Replica } from '../replicas/replica.js'
import type { BackgroundProof } from './background-proof.js'

/** Space left for the outputs of a row until their size is known. */
const FIRST_OUTPUT_BYTES = 1_024

/** A pack for one replica, with what is needed to decode its reply. */
export interface Pack {
  readonly runs: readonly PlannedRun[]
  /** The layout of its batches. */
  readonly plan: BatchPlan | undefined
  /** True if the pack sends the plan of batches to the thread. */
  readonly sendsPlan: boolean
  readonly task: RunTask
}

/** Writes packs into recycled buffers, with space for the outputs. */
export class PackAssembler {
  readonly #batching: Batching
  readonly #backgroundProof: BackgroundProof
  readonly #ballast: Pick<GcBallast, 'count'>
  readonly #buffers = new RecycledBuffers()
  #signature: Signature = { inputs: [], outputs: [] }
  #decoder: OutputDecoder
  #outputBytes = FIRST_OUTPUT_BYTES

  constructor(batching: Batching, backgroundProof: BackgroundProof, ballast: Pick<GcBallast, 'count'>) {
    this.#batching = batching
    this.#backgroundProof = backgroundProof
    this.#ballast = ballast
    this.#decoder = new OutputDecoder(this.#signature, ballast)
  }

  /** Number of bytes that outputs take of a pack for each row, as last seen. */
  get outputBytes(): number {
    return this.#outputBytes
  }

  /** Decoder of the outputs of packs. */
  get decoder(): OutputDecoder {
    return this.#decoder
  }

  /** Begins with the model's signature. To be called when the model is loaded. */
  open(signature: Signature): void {
    this.#signature = signature
    this.#decoder = new OutputDecoder(signature, this.#ballast)
  }

  /**
   * Checks the inputs of a request, see `checkIntact` of `write-pack.ts`.
   * @throws ERR_INVALID_INPUT
   */
  checkIntact(inputs: readonly Tensor[]): void {
    checkIntact(this.#signature, inputs)
  }

  /**
   * Writes the runs for a replica, with their roles in proofs, and the plan of batches if the thread needs it and
   * does not know it.
   * @throws ERR_INSUFFICIENT_MEMORY if no buffer can be allocated
   */
  assemble(replica: Replica, runs: readonly PlannedRun[]): Pack {
    const { plan } = this.#batching
    let rows = 0
    let hasBatch = false
    const packed = runs.map((run, index): PackedRun => {
      rows += run.rows
      hasBatch ||= run.requests.length > 1
      return {
        requests: run.requests as readonly [Packed, ...Packed[]],
        keep: this.#backgroundProof.keepOf(replica, run, index === 0),
      }
    })
    const task = this.write(packed, rows, plan)
    const sendsPlan = plan !== undefined && hasBatch && !replica.knowsPlan
    return { runs, plan, sendsPlan, task: sendsPlan ? { ...task, plan } : task }
  }

  /**
   * Writes runs into a buffer.
   * @param rows the number of rows of all runs, which determines the space for outputs
   * @throws ERR_INSUFFICIENT_MEMORY if no buffer can be allocated
   */
  write(runs: readonly PackedRun[], rows: number, plan?: BatchPlan): RunTask {
    return writePack(this.#signature, runs, plan, this.#buffers, rows * this.#outputBytes)
  }

  /** Learns from outputs how much space the next ones will take. */
  learn(outputs: EncodedOutputs, wanted: readonly string[] | undefined, rows: number): void {
    const bytes = Math.ceil(this.#decoder.bytesOf(outputs, wanted, rows) / rows)
    if (Number.isSafeInteger(bytes)) this.#outputBytes = bytes
  }

  /** Takes back the buffer of a pack whose outputs have been decoded. */
  takeBack(buffer: ArrayBuffer): void {
    this.#buffers.give(buffer)
  }

  clear(): void {
    this.#buffers.clear()
  }
}
