import type { RunRequest } from './run-request.js'

/** First in, first out; a request in the middle leaves as cheaply as the first. */
export class RequestQueue {
  size = 0
  #first: RunRequest | undefined
  #last: RunRequest | undefined

  push(request: RunRequest): void {
    request.previous = this.#last
    if (this.#last === undefined) this.#first = request
    else this.#last.next = request
    this.#last = request
    this.size += 1
    // Last: a listener may abort the request, which then leaves the queue at once.
    request.stage = 'queued'
  }

  shift(): RunRequest | undefined {
    const request = this.#first
    if (request === undefined) return undefined
    this.remove(request)
    request.stage = 'waiting'
    return request
  }

  remove(request: RunRequest): void {
    const { previous, next } = request
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    request.previous = undefined
    request.next = undefined
    this.size -= 1
  }
}
