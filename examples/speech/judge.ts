/** What the detector says of one window: whether it is speech, and what it wants to remember. */
export interface Answer {
  readonly probability: number
  readonly state: Float32Array
}

/** A question that was asked during the run, and what came back. */
export interface Kept {
  readonly input: Float32Array
  readonly state: Float32Array
  readonly answer: Answer
  /** The version that was active when the question was admitted. */
  readonly expected: string
}

export interface Verdict {
  readonly judged: number
  /** How many answers have the values of each version. */
  readonly answeredBy: Readonly<Record<string, number>>
  /** Answers with the values of another version than the expected one. */
  readonly wrongVersion: number
  /** Answers that no version gives. */
  readonly foreign: number
  /** Answers that several versions give, so that they prove nothing. */
  readonly undecided: number
}

/** What `golden.json` says of one version over the whole clip. */
export interface Golden {
  readonly n: number
  readonly first: readonly number[]
  readonly mean: number
  readonly gt05: number
}

const TOLERANCE = 1e-5

/** Tells by its values which version gave an answer; `replayed` has what each version says to the same questions. */
export function judge(kept: readonly Kept[], replayed: Readonly<Record<string, readonly Answer[]>>): Verdict {
  const versions = Object.keys(replayed)
  const answeredBy = Object.fromEntries(versions.map((version) => [version, 0]))
  const verdict = { judged: kept.length, answeredBy, wrongVersion: 0, foreign: 0, undecided: 0 }
  for (const [index, { answer, expected }] of kept.entries()) {
    const givers = versions.filter((version) => isSameAnswer(answer, replayed[version]?.[index]))
    const giver = givers.includes(expected) ? expected : givers[0]
    if (giver === undefined) {
      verdict.foreign += 1
      continue
    }
    answeredBy[giver] = (answeredBy[giver] ?? 0) + 1
    if (giver !== expected) verdict.wrongVersion += 1
    else if (givers.length > 1) verdict.undecided += 1
  }
  return verdict
}

export function isSameAnswer(answer: Answer, reference: Answer | undefined): boolean {
  if (reference === undefined || answer.state.length !== reference.state.length) return false
  if (!isClose(answer.probability, reference.probability)) return false
  return answer.state.every((value, index) => isClose(value, reference.state[index]))
}

/** Absolute for a probability; relative for what is larger than 1, as a state may be. */
function isClose(value: number, reference: number | undefined): boolean {
  if (reference === undefined) return false
  // Written so that NaN is close to nothing.
  return Math.abs(value - reference) <= TOLERANCE * Math.max(1, Math.abs(reference))
}

/** What is wrong with the probabilities of a pass over the clip; empty if nothing is. */
export function goldenProblems(who: string, probabilities: readonly number[], golden: Golden): string[] {
  const { n, first, mean, gt05 } = golden
  if (probabilities.length !== n) return [`${who} has ${probabilities.length} answers, not ${n}`]
  const problems: string[] = []
  const index = first.findIndex((value, position) => !isClose(probabilities[position] ?? Number.NaN, value))
  if (index !== -1)
    problems.push(`${who}: window ${index} gives ${probabilities[index]}, not ${first[index]}`)
  const foundMean = probabilities.reduce((sum, value) => sum + value, 0) / n
  if (!isClose(foundMean, mean)) problems.push(`${who}: the mean is ${foundMean}, not ${mean}`)
  const foundSpeech = probabilities.filter((value) => value > 0.5).length
  if (foundSpeech !== gt05) problems.push(`${who}: ${foundSpeech} windows are speech, not ${gt05}`)
  return problems
}
