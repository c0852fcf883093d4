import { readFile } from 'node:fs/promises'
import { readWav } from './wav.js'

const WINDOW = 512
/** Samples of the window before that the model sees again. */
const CONTEXT = 64
const SAMPLE_RATE = 16_000
const STATE_LENGTH = 2 * 128

/** A recording cut into what Silero VAD takes: windows of 512 samples behind 64 samples of context. */
export interface Clip {
  /** The first window when nothing was said before: its context is silence. */
  readonly opening: Float32Array
  /** All whole windows; the context of the first is the end of the last, as in a loop. */
  readonly windows: readonly Float32Array[]
}

export async function readClip(path: string): Promise<Clip> {
  const { sampleRate, samples } = readWav(await readFile(path))
  if (sampleRate !== SAMPLE_RATE) throw new Error(`${path} has ${sampleRate} Hz; it should have 16000`)
  return cutIntoWindows(samples)
}

export function cutIntoWindows(samples: Float32Array): Clip {
  const count = Math.floor(samples.length / WINDOW)
  if (count === 0) throw new Error(`a recording of ${samples.length} samples is shorter than one window`)
  const windows = Array.from({ length: count }, (_, index) => {
    const before = ((index + count - 1) % count) * WINDOW + WINDOW - CONTEXT
    const input = new Float32Array(CONTEXT + WINDOW)
    input.set(samples.subarray(before, before + CONTEXT))
    input.set(samples.subarray(index * WINDOW, (index + 1) * WINDOW), CONTEXT)
    return input
  })
  const opening = new Float32Array(CONTEXT + WINDOW)
  opening.set(samples.subarray(0, WINDOW), CONTEXT)
  return { opening, windows }
}

/** What a stream's state is before its first window. */
export function silentState(): Float32Array {
  return new Float32Array(STATE_LENGTH)
}
