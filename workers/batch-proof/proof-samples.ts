import { float16Value } from '../../src/tensors/float16.js'
import { bytesOf } from '../../src/tensors/input/copies.js'
import type { Tensor } from '../../src/tensors/tensor.js'
import type { Row, RunOnce } from './proof-rows.js'

/** Number of samples with which the proof begins, so that a strange one does not have the most common shape. */
const LEAST_SAMPLES = 3
/** Maximum number of samples that are kept. */
const MAX_SAMPLES = 8
/** Size above which a sample is not copied. */
const MAX_SAMPLE_BYTES = 64 * 2 ** 20
/**
 * Maximum number of tries. The proof is tried again with the second request that is offered, the fourth, the
 * eighth and so on, so that many strange requests in a row do not use up all tries, and failing tries become
 * rare.
 */
const MAX_TRIES = 6

/** A valid input; without outputs if its request named only some of them. */
interface Sample {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[] | undefined
}

/**
 * The requests with which the proof of batching works. Any of them may be untypical: if the proof fails for a
 * reason that may lie in a sample, it is tried again with later samples.
 */
export class ProofSamples {
  /** The shortest run time of a sample alone, in milliseconds. */
  fastestMs = Number.POSITIVE_INFINITY
  #kept: Sample[] = []
  /** True if one of the samples is typical by configuration. */
  isTypical = false
  #offered = 0
  #tries = 0
  #nextAt = 1
  readonly #refusedShapes = new Set<string>()

  /** True if a try can begin. */
  get isReady(): boolean {
    return this.#kept.length >= (this.isTypical ? 1 : LEAST_SAMPLES)
  }

  /** True if no further try is allowed. */
  get isSpent(): boolean {
    return this.#tries >= MAX_TRIES
  }

  /** Counts a request; returns true if it should be added. */
  wants(inputs: readonly Tensor[]): boolean {
    this.#offered += 1
    if (this.isSpent || this.#offered < this.#nextAt || bytesOf(inputs) > MAX_SAMPLE_BYTES) return false
    if (!this.#refusedShapes.has(shapeOf(inputs))) return true
    this.#countTry()
    return false
  }

  /** Adds a sample that took `ms` alone. `isTypical` is true for a sample from the configuration. */
  add(sample: Sample, ms: number, isTypical: boolean): void {
    this.fastestMs = Math.min(this.fastestMs, ms)
    if (this.#kept.length === MAX_SAMPLES) this.#kept.shift()
    this.#kept.push(sample)
    this.isTypical ||= isTypical
  }

  /**
   * Returns the samples with all their outputs, those of the most common shape first; yields the expected
   * time of the next run.
   */
  async *rows(run: RunOnce): AsyncGenerator<number, Row[]> {
    const rows: Row[] = []
    for (const { inputs, outputs } of this.#kept) {
      if (outputs === undefined) yield this.fastestMs
      rows.push({ inputs, outputs: outputs ?? (await run(inputs)) })
    }
    const shapes = rows.map(({ inputs }) => shapeOf(inputs))
    const counts = shapes.map((shape) => shapes.filter((other) => other === shape).length)
    const shape = shapes[counts.indexOf(Math.max(...counts))] as string
    const isCommon = (_: Row, index: number): boolean => shapes[index] === shape
    const ordered = [...rows.filter(isCommon), ...rows.filter((row, index) => !isCommon(row, index))]
    this.#kept = ordered
    return ordered
  }

  /** Requests more samples beside these. That uses no try, since the proof may still succeed, but becomes rare. */
  more(): void {
    this.#wait()
  }

  /** Drops the samples; returns true if the proof may be tried again with other ones. */
  others(): boolean {
    this.#countTry()
    this.#kept = []
    this.isTypical = false
    return !this.isSpent
  }

  /** Like `others`, with samples of other shapes than the one that was tried; false after a typical sample. */
  otherShapes(): boolean {
    const isFinal = this.isTypical
    const [{ inputs }] = this.#kept as [Sample]
    this.#refusedShapes.add(shapeOf(inputs))
    return this.others() && !isFinal
  }

  #countTry(): void {
    this.#tries += 1
    this.#wait()
  }

  #wait(): void {
    this.#nextAt = Math.max(this.#offered + 1, 2 * this.#nextAt)
  }
}

/** Returns true if a row proves little: it has no elements, or a number that is not finite. */
export function isStrange({ inputs, outputs }: Row): boolean {
  return [...inputs, ...outputs].some((tensor) => tensor.data.length === 0 || !hasFiniteNumbers(tensor))
}

function hasFiniteNumbers({ type, data }: Tensor): boolean {
  switch (type) {
    case 'float32':
    case 'float64':
      return (data as Float32Array).every(Number.isFinite)
    case 'float16':
      return (data as Uint16Array).every((bits) => Number.isFinite(float16Value(bits)))
    default:
      return true
  }
}

function shapeOf(inputs: readonly Tensor[]): string {
  return JSON.stringify(inputs.map(({ dims }) => dims))
}
