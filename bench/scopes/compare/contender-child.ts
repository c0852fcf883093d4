import { runOrder } from '../../harness/child.js'
import { LatencyLog } from '../../harness/latency.js'
import type { Target } from '../../load/target.js'
import { makeTarget } from '../../measurements/make-target.js'
import { inputsOf, type SubjectName } from '../../subjects/subjects.js'

export interface ContenderOrder {
  /** Module that the runtime is imported from. */
  readonly library: string
  readonly subject: SubjectName
  /** Path of the model. */
  readonly source: string
  readonly cacheDir: string
  readonly threads: number
}

/** A short time of traffic from callers that each send the next request once the last one has settled. */
export interface SliceOrder {
  readonly callers: number
  readonly durationMs: number
}

export interface SliceFigures {
  readonly perSecond: number
  readonly p50Ms: number
}

/** Serves a subject, and runs one slice of traffic for each message of the parent until that says 'end'. */
runOrder<ContenderOrder, true>(async (order, parent) => {
  const inputs = inputsOf(order.subject)
  const unused = { variant: 'runtime', niceIncrement: 0, tasksPerWorker: 1 } as const
  const target = await makeTarget.runtime({ ...order, ...unused }, inputs)
  parent.report('ready')
  for (let slice = await parent.nextMessage(); slice !== 'end'; slice = await parent.nextMessage()) {
    parent.report('slice', await runSlice(target, inputs.length, slice as SliceOrder))
  }
  await target.close()
  return true
})

async function runSlice({ send }: Target, inputs: number, order: SliceOrder): Promise<SliceFigures> {
  const log = new LatencyLog()
  const startedAt = performance.now()
  const endsAt = startedAt + order.durationMs
  let completed = 0
  let next = 0
  const call = async (): Promise<void> => {
    for (let sentAt = startedAt; sentAt < endsAt; ) {
      const index = next
      next = index + 1 === inputs ? 0 : index + 1
      await send(index)
      const now = performance.now()
      completed += 1
      log.record(now - sentAt)
      sentAt = now
    }
  }
  await Promise.all(Array.from({ length: order.callers }, call))
  const seconds = (performance.now() - startedAt) / 1_000
  return { perSecond: completed / seconds, p50Ms: log.figures().p50Ms }
}
