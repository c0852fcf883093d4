import { parentPort, workerData } from 'node:worker_threads'
import type { PlainInput } from '../subjects/plain.js'
import { buffersOf, feedsOf, plainSession, sendable } from './plain-run.js'
import type { SingleWorkerReply } from './single-worker.js'

const session = await plainSession(workerData as string)
parentPort?.on('message', async ({ id, input }: { id: number; input: PlainInput }) => {
  const outputs = sendable(await session.run(feedsOf(input)))
  const reply: SingleWorkerReply = { id, outputs }
  parentPort?.postMessage(reply, buffersOf(outputs))
})
parentPort?.postMessage('ready')
