import { runChild } from '../harness/child.js'
import type { Timing, TrafficFigures } from '../load/traffic-figures.js'
import type { PlainOutputs } from '../subjects/plain.js'
import { type Sources, subjectSources } from '../subjects/sources.js'
import { SUBJECTS, type SubjectName } from '../subjects/subjects.js'
import { BenchCache, LIBRARY } from './bench-cache.js'
import { isUpperBound, type MeasurementOrder, type Traffic, type Variant } from './measurement-order.js'
import type { ReferenceOrder } from './references-child.js'

export const THREADS = 2
/** Default `niceIncrement` of the runtime. */
export const NICE_INCREMENT = 5
/** Time for loading, for the requests that are open at the end, and for closing. */
const MARGIN_MS = 60_000
/** On the main thread the runs of all callers come before a timer. */
const MARGIN_MS_PER_CALLER = 300
const TASKS_PER_WORKER = [1, 2, 4, 8] as const
const TUNING_CALLERS = 64
const TUNING: Timing = { warmUpMs: 500, durationMs: 1_000 }

/** Subject of one measurement. */
export interface Cell {
  readonly subject: SubjectName
  readonly variant: Variant
  readonly traffic: Traffic
}

/** Returns the name of a cell for progress lines and failures. */
export function cellName({ subject, variant, traffic }: Cell): string {
  const load = 'callers' in traffic ? `${traffic.callers} callers` : `${traffic.ratePerSecond}/s`
  return `${subject}, ${variant}, ${load}`
}

/** Measures cells, each in a fresh process, and provides the models and reference outputs that they need. */
export class MeasurementHarness implements Disposable {
  readonly #sources: Sources = subjectSources()
  readonly #library: string
  readonly #cache: BenchCache
  readonly #caches = new Map<SubjectName, Promise<string>>()
  /** Reference outputs by path of the model. */
  readonly #references = new Map<string, Promise<readonly PlainOutputs[]>>()
  readonly #tasksPerWorker = new Map<SubjectName, Promise<number>>()

  /** @param library Module that the runtime is imported from; defaults to that of this checkout. */
  constructor(library = LIBRARY) {
    this.#library = library
    this.#cache = new BenchCache(library)
  }

  /** Returns the path of the model of `subject`. */
  sourceOf(subject: SubjectName): string {
    return this.#sources.paths[subject]
  }

  /** Resolves with the artifact folder once it has the artifact of `subject`. */
  cacheOf(subject: SubjectName): Promise<string> {
    return once(this.#caches, subject, async () => {
      await this.#cache.prepare(this.sourceOf(subject), SUBJECTS[subject].input(0))
      return this.#cache.path
    })
  }

  /** Resolves with the figures of one measurement of `cell`. */
  async measure(cell: Cell, timing: Timing): Promise<TrafficFigures> {
    const tasksPerWorker = cell.variant === 'baseline-pool' ? await this.tasksPerWorkerOf(cell.subject) : 1
    const figures = await this.#measure(cell, timing, tasksPerWorker)
    process.stderr.write(`${cellName(cell)}: ${figures.perSecond.toFixed(0)} requests per second\n`)
    return figures
  }

  /** Resolves with the outputs of plain onnxruntime-node, which runs in a process of its own, for the inputs of `subject`. */
  referencesOf(subject: SubjectName, source = this.sourceOf(subject)): Promise<readonly PlainOutputs[]> {
    return once(this.#references, source, async () => {
      const script = new URL('./references-child.js', import.meta.url)
      const order: ReferenceOrder = { subject, source }
      return await runChild<readonly PlainOutputs[]>(script, order, MARGIN_MS)
    })
  }

  /** Resolves with the tasks per worker with which the baseline pool is fastest, by a short measurement of each. */
  tasksPerWorkerOf(subject: SubjectName): Promise<number> {
    return once(this.#tasksPerWorker, subject, async () => {
      const cell: Cell = { subject, variant: 'baseline-pool', traffic: { callers: TUNING_CALLERS } }
      let best = { tasks: 1, perSecond: 0 }
      for (const tasks of TASKS_PER_WORKER) {
        const { perSecond } = await this.#measure(cell, TUNING, tasks)
        if (perSecond > best.perSecond) best = { tasks, perSecond }
      }
      return best.tasks
    })
  }

  [Symbol.dispose](): void {
    this.#sources[Symbol.dispose]()
    this.#cache[Symbol.dispose]()
  }

  async #measure(cell: Cell, timing: Timing, tasksPerWorker: number): Promise<TrafficFigures> {
    const order: MeasurementOrder = {
      ...cell,
      ...timing,
      source: this.sourceOf(cell.subject),
      cacheDir: await this.cacheOf(cell.subject),
      library: this.#library,
      threads: THREADS,
      niceIncrement: NICE_INCREMENT,
      tasksPerWorker,
      references: hasOutputs(cell.variant) ? await this.referencesOf(cell.subject) : [],
    }
    const script = new URL('./measurement-child.js', import.meta.url)
    const marginMs = MARGIN_MS + ('callers' in cell.traffic ? cell.traffic.callers * MARGIN_MS_PER_CALLER : 0)
    return await runChild<TrafficFigures>(script, order, timing.warmUpMs + timing.durationMs + marginMs)
  }
}

function hasOutputs(variant: Variant): boolean {
  return variant !== 'lower-bound' && !isUpperBound(variant)
}

function once<Key, Value>(
  made: Map<Key, Promise<Value>>,
  key: Key,
  make: () => Promise<Value>,
): Promise<Value> {
  const known = made.get(key) ?? make()
  made.set(key, known)
  return known
}
