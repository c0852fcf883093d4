import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answer } from './judge.js'

/** One thing to ask: a window behind its context, and the state before it. */
export interface Question {
  readonly input: Float32Array
  readonly state: Float32Array
}

export interface ReplayOrder {
  readonly questions: readonly Question[]
  /** Path of the model file of each version. */
  readonly models: Readonly<Record<string, string>>
}

export type ReplayReply = Readonly<Record<string, readonly Answer[]>>

/** Typed arrays cross as they are, which JSON would not let them. */
const SERIALIZATION = 'advanced'

/**
 * Asks every version every question on plain onnxruntime-node: in a child process, so that
 * this one, whose replicas are watched, never loads onnxruntime itself.
 */
export function replay(order: ReplayOrder): Promise<ReplayReply> {
  const script = fileURLToPath(new URL('./replay-child.js', import.meta.url))
  const child = fork(script, [], {
    serialization: SERIALIZATION,
    execArgv: [],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  })
  return new Promise((resolve, reject) => {
    child.once('message', (reply) => resolve(reply as ReplayReply))
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      reject(new Error(`the replay ended without an answer (${signal ?? `exit code ${code}`})`))
    })
    child.send({ questions: order.questions.map(only), models: order.models })
  })
}

/** A question without what else its object carries. */
function only({ input, state }: Question): Question {
  return { input, state }
}
