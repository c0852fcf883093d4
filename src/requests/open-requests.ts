import type { RequestRecord } from './request-record.js'

/** The open requests in the order in which they began, as a linked list, so that removal is as cheap as addition. */
export class OpenRequests {
  #oldest: RequestRecord | undefined
  #newest: RequestRecord | undefined

  add(record: RequestRecord): void {
    record.older = this.#newest
    if (this.#newest === undefined) this.#oldest = record
    else this.#newest.newer = record
    this.#newest = record
  }

  remove(record: RequestRecord): void {
    const { older, newer } = record
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    record.older = undefined
    record.newer = undefined
  }

  /** Yields the requests, oldest first. */
  *[Symbol.iterator](): Generator<RequestRecord, void> {
    for (let record = this.#oldest; record !== undefined; record = record.newer) yield record
  }
}
