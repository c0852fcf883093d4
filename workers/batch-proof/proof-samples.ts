import { float16Value } from '../../src/tensors/float16.js'
import { bytesOf } from '../../src/tensors/input/copies.js'
import type { Tensor } from '../../src/tensors/tensor.js'
import type { Row, RunOnce } from './proof-rows.js'

/** The proof begins with so many samples, so that the most common shape is not that of a strange one. */
const LEAST_SAMPLES = 3
/** Samples that are kept. */
const MAX_SAMPLES = 8
/** A larger one is not copied. */
const MAX_SAMPLE_BYTES = 64 * 2 ** 20
/**
 * The proof is tried again with the second request that is offered, the fourth, the eighth and so on, so
 * that many strange requests in a row do not use all tries up, and tries that fail cost ever less.
 */
const MAX_TRIES = 6

/** An input that is known to be valid; without outputs if its caller asked for some of them only. */
interface Sample {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[] | undefined
}

/**
 * The requests that the proof of batching works with. None is taken for a typical one: when the proof
 * fails for a reason that may lie in a sample, it is tried again with later ones.
 */
export class ProofSamples {
  /** What a sample has taken alone, the fastest so far. */
  fastestMs = Number.POSITIVE_INFINITY
  #kept: Sample[] = []
  /** Whether one of them is typical by the user's word. */
  isTypical = false
  #offered = 0
  #tries = 0
  #nextAt = 1
  readonly #refusedShapes = new Set<string>()

  /** Whether a try can begin. */
  get isReady(): boolean {
    return this.#kept.length >= (this.isTypical ? 1 : LEAST_SAMPLES)
  }

  /** Whether no further try is allowed. */
  get isSpent(): boolean {
    return this.#tries >= MAX_TRIES
  }

  /** Counts a request, and tells whether it is to be added. */
  wants(inputs: readonly Tensor[]): boolean {
    this.#offered += 1
    if (this.isSpent || this.#offered < this.#nextAt || bytesOf(inputs) > MAX_SAMPLE_BYTES) return false
    if (!this.#refusedShapes.has(shapeOf(inputs))) return true
    this.#countTry()
    return false
  }

  /** Adds a sample that took `ms` alone. One that the user has configured is typical by declaration. */
  add(sample: Sample, ms: number, isTypical: boolean): void {
    this.fastestMs = Math.min(this.fastestMs, ms)
    if (this.#kept.length === MAX_SAMPLES) this.#kept.shift()
    this.#kept.push(sample)
    this.isTypical ||= isTypical
  }

  /**
   * Returns the samples with all their outputs, those of the most common shape first; yields what the next
   * run is expected to take.
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

  /** Asks for more samples beside these. That costs no try, as nothing speaks against the proof, but is ever more seldom. */
  more(): void {
    this.#wait()
  }

  /** Whether the proof may be tried again with other samples; these are dropped. */
  others(): boolean {
    this.#countTry()
    this.#kept = []
    this.isTypical = false
    return !this.isSpent
  }

  /** The same with samples of other shapes than the one that was tried; never after a typical one. */
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

/** Whether a row shows little: it has no elements, or a number in it is no finite one. */
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
