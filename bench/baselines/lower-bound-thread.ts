import { parentPort } from 'node:worker_threads'

// Replies at once without outputs: the cost of a round trip between threads alone.
parentPort?.on('message', ({ id }: { id: number }) => parentPort?.postMessage({ id }))
parentPort?.postMessage('ready')
