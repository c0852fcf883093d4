import { move, transferableSymbol, valueSymbol, workerData } from 'piscina'
import type { PlainInput } from '../subjects/plain.js'
import { buffersOf, feedsOf, plainSession, sendable } from './plain-run.js'

const session = await plainSession(workerData as string)

export default async function predict(input: PlainInput): Promise<unknown> {
  const outputs = sendable(await session.run(feedsOf(input)))
  const moved = { [transferableSymbol]: buffersOf(outputs), [valueSymbol]: outputs }
  return move(moved as unknown as Parameters<typeof move>[0])
}
