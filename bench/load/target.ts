import type { PlainOutputs } from '../subjects/plain.js'

/** Asks with the input of that index. The floor answers with nothing. */
export type Ask = (index: number) => Promise<PlainOutputs | undefined>

/** What callers can ask. */
export interface Target {
  readonly ask: Ask
  /** With no request open. */
  close(): Promise<void>
}
