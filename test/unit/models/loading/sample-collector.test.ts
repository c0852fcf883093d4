import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SampleCollector } from '../../../../src/models/loading/sample-collector.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { RunRequest } from '../../../../src/pools/queue/run-request.js'
import type { Tensor } from '../../../../src/tensors/tensor.js'

type Samples = readonly (readonly Tensor[])[]

function request(value: number, length = 1): RunRequest {
  const created = new RunRequest(systemClock, 'm', '1', {})
  created.inputs = [{ type: 'float32', dims: [length], data: new Float32Array(length).fill(value) }]
  created.promise.catch(() => undefined)
  return created
}

function begin(): { trial: SampleCollector; collected: number[][] } {
  const collected: number[][] = []
  const trial = new SampleCollector(systemClock, (samples: Samples) => {
    collected.push(samples.map(([input]) => input?.data[0] as number))
  })
  return { trial, collected }
}

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the samples for the proof of an artifact', () => {
  it('are the first three requests that succeed, as they were when they were submitted', async () => {
    const { trial, collected } = begin()
    const requests = [1, 2, 3, 4].map((value) => request(value))
    for (const each of requests) trial.offer(each)
    for (const { inputs } of requests) {
      const [input] = inputs as [Tensor<'float32'>]
      input.data.fill(9)
    }
    for (const each of requests) each.resolve({})
    await settled()
    expect(collected).toEqual([[1, 2, 3]])
  })

  it('are fewer than three if no more requests succeed within a second', async () => {
    const { trial, collected } = begin()
    const first = request(1)
    trial.offer(first)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(collected).toEqual([])
    first.resolve({})
    await vi.advanceTimersByTimeAsync(999)
    expect(collected).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(collected).toEqual([[1]])
  })

  it('contain no request that failed', async () => {
    const { trial, collected } = begin()
    const bad = [1, 2, 3].map((value) => request(value))
    for (const each of bad) trial.offer(each)
    for (const each of bad) each.reject(new Error('no valid input'))
    await vi.advanceTimersByTimeAsync(5_000)
    const good = [4, 5, 6].map((value) => request(value))
    for (const each of good) trial.offer(each)
    for (const each of good) each.resolve({})
    await settled()
    expect(collected).toEqual([[4, 5, 6]])
  })

  it('contain no request that is too large to keep', async () => {
    const { trial, collected } = begin()
    const large = request(1, 9 * 2 ** 20)
    trial.offer(large)
    const small = request(2)
    trial.offer(small)
    large.resolve({})
    small.resolve({})
    await vi.advanceTimersByTimeAsync(1_000)
    expect(collected).toEqual([[2]])
  })

  it('are not collected any more once the version is stopped', async () => {
    const { trial, collected } = begin()
    const first = request(1)
    trial.offer(first)
    first.resolve({})
    await settled()
    trial.cancel()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(collected).toEqual([])
  })
})
