import { BenchChild } from '../harness/child.js'
import type { PlainOutputs } from '../subjects/plain.js'
import { type Sources, subjectSources } from '../subjects/sources.js'
import { SUBJECTS, type SubjectName } from '../subjects/subjects.js'
import { BenchCache, LIBRARY } from './bench-cache.js'
import type { ReferenceOrder } from './references.js'
import type { StretchOrder, Timing, Traffic, TrafficFigures, Variant } from './stretch-order.js'

export const THREADS = 2
/** The runtime's default. */
export const NICE_INCREMENT = 5
/** For loading, for the answers that are open at the end, and for closing. */
const MARGIN_MS = 60_000
/** On the main thread every caller's run is done before a timer has its turn. */
const MARGIN_MS_PER_CALLER = 300
const TASKS_PER_WORKER = [1, 2, 4, 8] as const
const TUNING_CALLERS = 64
const TUNING: Timing = { warmUpMs: 500, durationMs: 1_000 }

/** What is measured in one stretch. */
export interface Cell {
  readonly subject: SubjectName
  readonly variant: Variant
  readonly traffic: Traffic
}

export function cellName({ subject, variant, traffic }: Cell): string {
  const load = 'callers' in traffic ? `${traffic.callers} callers` : `${traffic.ratePerSecond}/s`
  return `${subject}, ${variant}, ${load}`
}

/** Measures cells, each stretch in a fresh process, with the models and reference answers they need. */
export class Bed implements Disposable {
  readonly #sources: Sources = subjectSources()
  readonly #library: string
  readonly #cache: BenchCache
  readonly #caches = new Map<SubjectName, Promise<string>>()
  /** By the path of the model. */
  readonly #references = new Map<string, Promise<readonly PlainOutputs[]>>()
  readonly #tasksPerWorker = new Map<SubjectName, Promise<number>>()

  /** @param library the module that the runtime is imported from, by default that of this checkout. */
  constructor(library = LIBRARY) {
    this.#library = library
    this.#cache = new BenchCache(library)
  }

  sourceOf(subject: SubjectName): string {
    return this.#sources.paths[subject]
  }

  /** The folder of artifacts, which has that of the subject. */
  cacheOf(subject: SubjectName): Promise<string> {
    return once(this.#caches, subject, async () => {
      await this.#cache.prepare(this.sourceOf(subject), SUBJECTS[subject].input(0))
      return this.#cache.path
    })
  }

  async measure(cell: Cell, timing: Timing): Promise<TrafficFigures> {
    const tasksPerWorker = cell.variant === 'hand' ? await this.tasksPerWorkerOf(cell.subject) : 1
    const figures = await this.#measure(cell, timing, tasksPerWorker)
    process.stderr.write(`${cellName(cell)}: ${figures.perSecond.toFixed(0)} answers a second\n`)
    return figures
  }

  /** Resolves with what plain onnxruntime-node answers to the inputs of a subject, in a process of its own. */
  referencesOf(subject: SubjectName, source = this.sourceOf(subject)): Promise<readonly PlainOutputs[]> {
    return once(this.#references, source, async () => {
      const script = new URL('./references.js', import.meta.url)
      const order: ReferenceOrder = { subject, source }
      using child = new BenchChild<readonly PlainOutputs[]>(script, order)
      return await child.result(MARGIN_MS)
    })
  }

  /** With how many tasks a worker the hand-written pool answers most, out of a short run of each. */
  tasksPerWorkerOf(subject: SubjectName): Promise<number> {
    return once(this.#tasksPerWorker, subject, async () => {
      const cell: Cell = { subject, variant: 'hand', traffic: { callers: TUNING_CALLERS } }
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
    const order: StretchOrder = {
      ...cell,
      ...timing,
      source: this.sourceOf(cell.subject),
      cacheDir: await this.cacheOf(cell.subject),
      library: this.#library,
      threads: THREADS,
      niceIncrement: NICE_INCREMENT,
      tasksPerWorker,
      references: hasAnswers(cell.variant) ? await this.referencesOf(cell.subject) : [],
    }
    const script = new URL('./stretch.js', import.meta.url)
    using child = new BenchChild<TrafficFigures>(script, order)
    const marginMs = MARGIN_MS + ('callers' in cell.traffic ? cell.traffic.callers * MARGIN_MS_PER_CALLER : 0)
    return await child.result(timing.warmUpMs + timing.durationMs + marginMs)
  }
}

function hasAnswers(variant: Variant): boolean {
  return variant !== 'floor' && !variant.startsWith('ceiling')
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
