import type { GcBallast } from '../memory/gc-ballast.js'
import type { Answer, RunTask } from '../protocol/messages.js'
import type { BatchPlan } from '../tensors/batch-plan.js'
import { RecycledBuffers } from '../tensors/recycled-buffers.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import { AnswerReader } from './answers.js'
import { checkIntact, type PackedRun, writePack } from './pack.js'

/** Room that is left for an answer of a row while nothing is known of answers. */
const FIRST_ANSWER_BYTES = 1_024

/** Writes packs into buffers that come back, with room for the answers, and reads these. */
export class PackAssembler {
  readonly #buffers = new RecycledBuffers()
  readonly #ballast: Pick<GcBallast, 'count'>
  #signature: Signature = { inputs: [], outputs: [] }
  #answers: AnswerReader
  #answerBytes = FIRST_ANSWER_BYTES

  constructor(ballast: Pick<GcBallast, 'count'>) {
    this.#ballast = ballast
    this.#answers = new AnswerReader(this.#signature, ballast)
  }

  /** Bytes that an answer takes of a buffer for each row, as last seen. */
  get answerBytes(): number {
    return this.#answerBytes
  }

  get answers(): AnswerReader {
    return this.#answers
  }

  /** To be called when the model is loaded. */
  open(signature: Signature): void {
    this.#signature = signature
    this.#answers = new AnswerReader(signature, this.#ballast)
  }

  /** See `checkIntact` of a pack. */
  checkIntact(inputs: readonly Tensor[]): void {
    checkIntact(this.#signature, inputs)
  }

  /**
   * @param rows of all runs, to which answers are expected
   * @throws ERR_INSUFFICIENT_MEMORY if there is no buffer to be had
   */
  write(runs: readonly PackedRun[], rows: number, plan: BatchPlan | undefined): RunTask {
    return writePack(this.#signature, runs, plan, this.#buffers, rows * this.#answerBytes)
  }

  /** Learns from an answer what the next ones will take. */
  learn(answer: Answer, outputs: readonly string[] | undefined, rows: number): void {
    const bytes = Math.ceil(this.#answers.bytesOf(answer, outputs, rows) / rows)
    if (Number.isSafeInteger(bytes)) this.#answerBytes = bytes
  }

  /** Takes back the buffer of a pack whose answers have been read. */
  give(buffer: ArrayBuffer): void {
    this.#buffers.give(buffer)
  }

  clear(): void {
    this.#buffers.clear()
  }
}
