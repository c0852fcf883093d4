import type { PlainOutputs } from '../subjects/plain.js'

/** Sends a request with the input at `index` and resolves with its outputs; the lower bound has none. */
export type SendRequest = (index: number) => Promise<PlainOutputs | undefined>

/** One way to run a model, as callers see it. */
export interface Target {
  readonly send: SendRequest
  /** Releases the target; no request may be open. */
  close(): Promise<void>
}
