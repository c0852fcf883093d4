import { type LifecycleState, TRANSITIONS, type Transition } from '../../src/lifecycle/state-machine.js'

/** The states of all components, as their transitions report them. */
export class Transitions {
  readonly #lives = new Map<string, LifecycleState[]>()
  readonly #violated: (what: string) => void

  constructor(violated: (what: string) => void) {
    this.#violated = violated
  }

  /**
   * Records a transition. A label that is loaded again starts anew, while the threads of the previous load
   * may still be ending.
   */
  observe({ component, from, to }: Transition): void {
    const lives = this.#lives.get(component) ?? []
    this.#lives.set(component, lives)
    if (from === 'uninitialized') lives.push(from)
    const life = lives.indexOf(from)
    if (life === -1)
      this.#violated(`${component} goes from ${from} to ${to}, and none of its lives is ${from}`)
    else lives[life] = to
    if (!TRANSITIONS[from].includes(to)) this.#violated(`${component} goes from ${from} to ${to}`)
  }

  /** Checks the promises that hold once everything is closed. */
  checkEnd(): void {
    for (const [component, lives] of this.#lives) {
      const open = lives.filter((state) => state !== 'stopped' && state !== 'error')
      if (open.length > 0) this.#violated(`${component} is ${open.join(' and ')} at the end`)
    }
  }
}
