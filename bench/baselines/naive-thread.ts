import { parentPort, workerData } from 'node:worker_threads'
import type { PlainInput } from '../subjects/plain.js'
import { feedsOf, plainSession, sendable } from './plain-run.js'

const session = await plainSession(workerData as string)
parentPort?.on('message', async (input: PlainInput | 'end') => {
  if (input === 'end') {
    await session.release()
    parentPort?.close()
  } else parentPort?.postMessage(sendable(await session.run(feedsOf(input))))
})
parentPort?.postMessage('ready')
