import {
  type RequestCounts,
  type RequestHandle,
  type RequestInfo,
  type RequestSnapshot,
  type RequestState,
  RequestTracker,
  type Runtime,
} from 'tbcoin-engine'
import { describe, expectTypeOf, it } from 'vitest'

declare const runtime: Runtime
declare const handle: RequestHandle

describe('a request tracker', () => {
  it('is a part of the runtime, and made alone', () => {
    expectTypeOf(runtime.requests).toEqualTypeOf<RequestTracker>()
    expectTypeOf(new RequestTracker({ recent: 10 }).begin('job')).toEqualTypeOf<RequestHandle>()
    expectTypeOf(runtime.requests.begin).parameters.toEqualTypeOf<
      [kind: string, info?: RequestInfo | undefined]
    >()
    expectTypeOf(runtime.requests.active()).toEqualTypeOf<RequestSnapshot[]>()
    expectTypeOf(runtime.requests.recent(5)).toEqualTypeOf<RequestSnapshot[]>()
    expectTypeOf(runtime.requests.counts()).toEqualTypeOf<RequestCounts>()
    // @ts-expect-error it is called recent
    new RequestTracker({ last: 10 })
  })

  it('knows the payload of each event', () => {
    runtime.requests.on('received', (request) => expectTypeOf(request).toEqualTypeOf<RequestSnapshot>())
    runtime.requests.on('transition', (_, from) => expectTypeOf(from).toEqualTypeOf<RequestState>())
    runtime.requests.on('settled', (_, error) => expectTypeOf(error).toEqualTypeOf<unknown>())
    // @ts-expect-error there is no such event
    runtime.requests.on('finished', (request) => request)
  })
})

describe('a handle of a request', () => {
  it('gives back what the function it runs gives', () => {
    expectTypeOf(handle.run(() => 1)).toEqualTypeOf<number>()
    expectTypeOf(handle.run(async () => 'x')).toEqualTypeOf<Promise<string>>()
    expectTypeOf<RequestHandle>().toExtend<Disposable>()
  })

  it('moves to states that exist', () => {
    handle.to('timed-out', new Error('late'))
    // @ts-expect-error where it begins, and nothing leads back to
    handle.to('received')
    // @ts-expect-error no such state
    handle.to('done')
    // @ts-expect-error only the tracker changes it
    handle.state = 'running'
  })
})
