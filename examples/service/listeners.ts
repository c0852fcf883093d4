import type { Runtime } from 'tbcoin-engine'
import { silentState } from '../speech/clip.js'
import { type Cache, recall, remember } from './cache.js'
import type { Store } from './store.js'

/** How loud a window is heard; each is a window of its own to the model. */
const GAINS = 10

/** What became of the windows. */
export interface Books {
  submitted: number
  answered: number
  /** Of the answered ones, those that the cache knew. */
  cached: number
  readonly failed: Record<string, number>
}

/**
 * Some who listen to a clip, over and over: each window is a transaction that asks the cache, else
 * the model, and writes down what comes of it.
 */
export class Listeners {
  readonly books: Books = { submitted: 0, answered: 0, cached: 0, failed: {} }
  readonly #runtime: Runtime
  readonly #store: Store
  readonly #cache: Cache
  readonly #windows: readonly Float32Array[]
  readonly #prefix: string
  #isOver = false
  #work: Promise<void>[] = []

  constructor(
    runtime: Runtime,
    store: Store,
    cache: Cache,
    windows: readonly Float32Array[],
    prefix: string,
  ) {
    this.#runtime = runtime
    this.#store = store
    this.#cache = cache
    this.#windows = windows
    this.#prefix = prefix
  }

  start(count: number): void {
    this.#work = Array.from({ length: count }, (_, listener) => this.#listen(listener))
  }

  /** Begins no further window; resolves when those under way are over. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#work)
  }

  async #listen(listener: number): Promise<void> {
    for (let index = listener * 7; !this.#isOver; index += 1) {
      this.books.submitted += 1
      const transaction = this.#runtime.requests.begin('window', { listener })
      try {
        await transaction.run(() => this.#judge(listener, index))
        transaction.complete()
        this.books.answered += 1
      } catch (error) {
        transaction.fail(error)
        const code = (error as { code?: string }).code ?? String(error)
        this.books.failed[code] = (this.books.failed[code] ?? 0) + 1
      }
    }
  }

  async #judge(listener: number, index: number): Promise<void> {
    const window = index % this.#windows.length
    const gain = 1 + ((index * 13 + listener) % GAINS) / 100
    const version = this.#activeVersion()
    const key = `${this.#prefix}:${version}:${window}:${gain}`
    const known = await recall(this.#cache, key)
    const probability = known ?? (await this.#ask(window, gain))
    // An answer that came while the version was swapped may be the one's or the other's.
    if (known === undefined && this.#activeVersion() === version)
      await remember(this.#cache, key, probability)
    if (known !== undefined) this.books.cached += 1
    await this.#store.add({ listener, window, probability, isCached: known !== undefined })
  }

  async #ask(window: number, gain: number): Promise<number> {
    const input = (this.#windows[window] as Float32Array).map((sample) => sample * gain)
    const { output } = await this.#runtime.predict('vad', { input, state: silentState(), sr: 16_000n })
    return Number(output?.data[0])
  }

  #activeVersion(): string | undefined {
    return this.#runtime.models.getModel('vad')?.version
  }
}
