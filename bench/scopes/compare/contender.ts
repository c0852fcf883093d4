import { BenchChild } from '../../harness/child.js'
import type { ContenderOrder, SliceFigures, SliceOrder } from './contender-child.js'

/** A process that serves a subject with one of the two packages, idle between the slices of traffic it is sent. */
export class Contender implements Disposable {
  readonly #child: BenchChild<true>
  #whenReported: (figures: SliceFigures) => void = () => undefined

  private constructor(order: ContenderOrder) {
    const script = new URL('./contender-child.js', import.meta.url)
    this.#child = new BenchChild(script, order, (_, figures) => this.#whenReported(figures as SliceFigures))
  }

  /** Resolves with the process once its model is loaded. */
  static async start(order: ContenderOrder): Promise<Contender> {
    const contender = new Contender(order)
    await contender.#child.report('ready')
    return contender
  }

  /** Runs one slice of traffic; rejects if the process exits. */
  async run(order: SliceOrder): Promise<SliceFigures> {
    const reported = new Promise<SliceFigures>((resolve) => {
      this.#whenReported = resolve
    })
    this.#child.send(order)
    const figures = await Promise.race([reported, this.#child.ended])
    if (!('perSecond' in figures)) throw new Error('a process of the comparison exited in a slice of traffic')
    return figures
  }

  /** Resolves when the runtime is closed and the process has exited. */
  async end(): Promise<void> {
    this.#child.send('end')
    await this.#child.result()
  }

  [Symbol.dispose](): void {
    this.#child[Symbol.dispose]()
  }
}
