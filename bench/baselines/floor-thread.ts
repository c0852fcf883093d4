import { parentPort } from 'node:worker_threads'

// What a round trip costs when nothing is asked.
parentPort?.on('message', ({ id }: { id: number }) => parentPort?.postMessage({ id }))
parentPort?.postMessage('ready')
