import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cutIntoWindows } from '../../examples/speech/clip.js'
import { type Answer, goldenProblems, judge, type Kept } from '../../examples/speech/judge.js'
import { phaseOf } from '../../examples/speech/phases.js'
import { readWav } from '../../examples/speech/wav.js'
import { packageRoot } from '../../models/catalogue.js'

interface Ending {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function demo(...args: string[]): Promise<Ending> {
  const script = join(packageRoot, 'dist', 'examples', 'speech.js')
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [script, ...args], (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
  })
}

describe('the speech demo', () => {
  it('swaps and rolls back under traffic, losing no request and serving none by the wrong version', async () => {
    const { code, stdout, stderr } = await demo('--rounds', '2')
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('speech:') })
    expect(stdout).toMatch(/^lost +0$/m)
    expect(stdout).toMatch(/^wrong version +0$/m)
    expect(stdout).toMatch(/^no version's answer +0$/m)
    for (const version of [5, 6]) {
      expect(stdout).toMatch(new RegExp(`^answered by version ${version} +[1-9]\\d*$`, 'm'))
      expect(stdout).toMatch(new RegExp(`^ +have version ${version}'s values +[1-9]\\d*$`, 'm'))
    }
  })

  it('refuses an invalid number of rounds', async () => {
    const { code, stderr } = await demo('--rounds', 'many')
    expect(code).toBe(1)
    expect(stderr).toContain('--rounds is many')
  })
})

function answer(probability: number, ...state: number[]): Answer {
  return { probability, state: Float32Array.from(state) }
}

function kept(expected: string, actual: Answer): Kept {
  return { input: new Float32Array(), state: new Float32Array(), answer: actual, expected }
}

describe('the judge', () => {
  const replayed = {
    '5': [answer(0.1, 1, 2), answer(0.2, 3, 4)],
    '6': [answer(0.9, 1, 2), answer(0.2, 3, 5)],
  }

  it('attributes outputs to the version whose values they have', () => {
    const verdict = judge([kept('5', answer(0.1, 1, 2)), kept('6', answer(0.2, 3, 5))], replayed)
    expect(verdict).toEqual({
      judged: 2,
      answeredBy: { '5': 1, '6': 1 },
      wrongVersion: 0,
      foreign: 0,
      undecided: 0,
    })
  })

  it('finds outputs of another version than expected, even if only the state differs', () => {
    const verdict = judge([kept('6', answer(0.1, 1, 2)), kept('5', answer(0.2, 3, 5))], replayed)
    expect(verdict).toMatchObject({ wrongVersion: 2, foreign: 0, answeredBy: { '5': 1, '6': 1 } })
  })

  it.each([
    ['a corrupted probability', answer(0.10002, 1, 2)],
    ['a corrupted state', answer(0.1, 1, 2.0001)],
    ['a NaN', answer(Number.NaN, 1, 2)],
    ['a truncated state', answer(0.1, 1)],
  ])('finds %s', (_what, actual) => {
    expect(judge([kept('5', actual)], replayed)).toMatchObject({ wrongVersion: 0, foreign: 1 })
  })

  it('tolerates rounding', () => {
    expect(judge([kept('5', answer(0.100004, 1, 2.00001))], replayed).answeredBy).toEqual({ '5': 1, '6': 0 })
  })

  it('reports outputs that could be of either version', () => {
    const same = { '5': [answer(0.1, 1)], '6': [answer(0.1, 1)] }
    expect(judge([kept('6', answer(0.1, 1))], same)).toMatchObject({ undecided: 1, wrongVersion: 0 })
  })

  it('finds a pass that differs from the golden one', () => {
    const golden = { n: 3, first: [0.1, 0.9], mean: 0.5, gt05: 1 }
    expect(goldenProblems('a', [0.1, 0.9, 0.5], golden)).toEqual([])
    expect(goldenProblems('a', [0.1, 0.9], golden)).toEqual(['a has 2 answers, not 3'])
    expect(goldenProblems('a', [0.2, 0.9, 0.4], golden)).toEqual(['a: window 0 gives 0.2, not 0.1'])
    expect(goldenProblems('a', [0.1, 0.9, 0.6], golden)).toHaveLength(2)
    expect(goldenProblems('a', [0.1, 0.9, Number.NaN], golden)).toHaveLength(1)
  })
})

describe('the phases of the demo', () => {
  it('attribute a request to the swap that it overlaps', () => {
    const cases = [
      [0, 0, 0],
      [0, 1, 1],
      [1, 1, 1],
      [1, 2, 1],
      [0, 2, 1],
      [2, 2, 2],
      [2, 3, 3],
      [3, 4, 3],
    ] as const
    for (const [started, ended, phase] of cases) expect(phaseOf(started, ended)).toBe(phase)
  })
})

/** A RIFF file of chunks; `format` is tag, channels, rate, bits. */
function wav(
  format: readonly [number, number, number, number],
  samples: readonly number[],
  extra = '',
): Buffer {
  const [tag, channels, rate, bits] = format
  const chunk = (name: string, body: Buffer): Buffer => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(body.length)
    return Buffer.concat([Buffer.from(name), size, body, Buffer.alloc(body.length % 2)])
  }
  const header = Buffer.alloc(16)
  header.writeUInt16LE(tag, 0)
  header.writeUInt16LE(channels, 2)
  header.writeUInt32LE(rate, 4)
  header.writeUInt16LE(bits, 14)
  const parts = [Buffer.from('WAVE'), chunk('fmt ', header)]
  if (extra !== '') parts.push(chunk('LIST', Buffer.from(extra)))
  parts.push(chunk('data', Buffer.from(Int16Array.from(samples).buffer)))
  return chunk('RIFF', Buffer.concat(parts))
}

describe('the recording of the demo', () => {
  it('is read past unknown chunks, also of odd length', () => {
    const { sampleRate, samples } = readWav(wav([1, 1, 16_000, 16], [0, 16_384, -32_768], 'odd'))
    expect({ sampleRate, samples: [...samples] }).toEqual({ sampleRate: 16_000, samples: [0, 0.5, -1] })
  })

  it.each([
    ['text', Buffer.from('twelve bytes and more'), 'no RIFF/WAVE'],
    ['stereo', wav([1, 2, 16_000, 16], [0]), '2 channel(s)'],
    ['floats', wav([3, 1, 16_000, 32], [0]), 'format 3'],
    ['a file without data', wav([1, 1, 16_000, 16], [0]).subarray(0, 36), 'no data'],
  ])('is refused if it is %s', (_what, bytes, message) => {
    expect(() => readWav(bytes)).toThrow(message)
  })

  it('is cut into windows that begin with the end of the previous one', () => {
    const samples = Float32Array.from({ length: 1_100 }, (_, index) => index)
    const { opening, windows } = cutIntoWindows(samples)
    expect(windows).toHaveLength(2)
    expect([...opening.subarray(0, 66)]).toEqual([...new Array(64).fill(0), 0, 1])
    expect([windows[1]?.[0], windows[1]?.[63], windows[1]?.[64], windows[1]?.[575]]).toEqual([
      448, 511, 512, 1_023,
    ])
    expect([windows[0]?.[0], windows[0]?.[63], windows[0]?.[64]]).toEqual([960, 1_023, 0])
  })
})
