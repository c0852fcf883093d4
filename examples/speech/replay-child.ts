import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Answer } from './judge.js'
import type { Question, ReplayOrder } from './replay.js'

process.once('message', (order) => {
  void answerAll(order as ReplayOrder).then((reply) => {
    process.send?.(reply, () => process.disconnect())
  })
})

async function answerAll({ questions, models }: ReplayOrder): Promise<Record<string, Answer[]>> {
  const reply: Record<string, Answer[]> = {}
  for (const [version, path] of Object.entries(models)) {
    const session = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 })
    const answers: Answer[] = []
    for (const question of questions) answers.push(await ask(session, question))
    reply[version] = answers
    await session.release()
  }
  return reply
}

async function ask(session: InferenceSession, { input, state }: Question): Promise<Answer> {
  const outputs = await session.run({
    input: new Tensor('float32', input, [1, input.length]),
    state: new Tensor('float32', state, [2, 1, 128]),
    sr: new Tensor('int64', BigInt64Array.of(16_000n), []),
  })
  const { output, stateN } = outputs as Record<'output' | 'stateN', Tensor>
  return { probability: output.data[0] as number, state: stateN.data as Float32Array }
}
