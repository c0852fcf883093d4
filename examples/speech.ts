import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { modelPath, sampleData } from '../models/catalogue.js'
import { readClip } from './speech/clip.js'
import type { Golden } from './speech/judge.js'
import { brokenPromises, report } from './speech/report.js'
import { MODEL, run } from './speech/run.js'

const DEFAULT_ROUNDS = 60

/**
 * Sixteen streams of speech run through a voice activity detector as fast as they go. On
 * the way its next version is swapped in and rolled back; the streams carry their state on
 * and know nothing of it. Afterwards a share of the answers is compared with what plain
 * onnxruntime says, to tell which version gave them.
 */
async function main(rounds: number): Promise<string[]> {
  const models = { '5': modelPath(MODEL, '5'), '6': modelPath(MODEL, '6') }
  const golden = JSON.parse(await readFile(sampleData.golden, 'utf8')) as Record<string, Golden>
  const result = await run({ clip: await readClip(sampleData.speech), rounds, models })
  process.stdout.write(`${report(result)}\n`)
  return brokenPromises(result, {
    '5': golden.silero_v5 as Golden,
    '6': golden.silero_v6 as Golden,
  })
}

function readRounds(): number {
  const { values } = parseArgs({ options: { rounds: { type: 'string' } } })
  const rounds = Number(values.rounds ?? DEFAULT_ROUNDS)
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds is ${values.rounds}; it should be a whole number from 1 on`)
  }
  return rounds
}

try {
  const broken = await main(readRounds())
  for (const promise of broken) process.stderr.write(`speech: ${promise}\n`)
  if (broken.length > 0) process.exitCode = 1
} catch (error) {
  process.stderr.write(`speech: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
