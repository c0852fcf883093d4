import { type Clip, silentState } from './clip.js'
import type { Traffic } from './traffic.js'

/** So that no two streams say the same once they have been through the clip together. */
const STEP = 5

/** Someone who speaks without end, over and over the same clip; knows nothing of versions. */
export class Stream {
  readonly #clip: Clip
  readonly #traffic: Traffic
  readonly #version: string | undefined
  #state = silentState()

  /** `version` keeps the stream to one version. */
  constructor(clip: Clip, traffic: Traffic, version?: string) {
    this.#clip = clip
    this.#traffic = traffic
    this.#version = version
  }

  /** Once through the clip, from silence; resolves with the probabilities. */
  async firstPass(): Promise<number[]> {
    const { opening, windows } = this.#clip
    const probabilities: number[] = []
    for (const input of [opening, ...windows.slice(1)]) probabilities.push(await this.#say(input))
    return probabilities
  }

  /** On and on, from the stream's own place in the clip, until it is told to stop. */
  async goOn(place: number, isOver: () => boolean): Promise<void> {
    const { windows } = this.#clip
    for (let index = place * STEP; !isOver(); index += 1) {
      await this.#say(windows[index % windows.length] as Float32Array)
    }
  }

  async #say(input: Float32Array): Promise<number> {
    const answer = await this.#traffic.ask(input, this.#state, this.#version)
    if (answer === undefined) return Number.NaN
    this.#state = answer.state
    return answer.probability
  }
}
