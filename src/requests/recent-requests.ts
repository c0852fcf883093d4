import type { RequestRecord } from './request-record.js'

/** A ring buffer of the requests that were settled last. */
export class RecentRequests {
  readonly #slots: (RequestRecord | undefined)[]
  /** Index of the slot for the next request. */
  #next = 0

  constructor(capacity: number) {
    this.#slots = new Array<RequestRecord | undefined>(capacity).fill(undefined)
  }

  add(record: RequestRecord): void {
    const { length } = this.#slots
    if (length === 0) return
    this.#slots[this.#next] = record
    this.#next = this.#next + 1 === length ? 0 : this.#next + 1
  }

  /** Returns at most `limit` requests, newest first. */
  list(limit: number): RequestRecord[] {
    const { length } = this.#slots
    const listed: RequestRecord[] = []
    for (let age = 1; age <= Math.min(limit, length); age += 1) {
      const record = this.#slots[(this.#next - age + length) % length]
      if (record === undefined) break
      listed.push(record)
    }
    return listed
  }
}
