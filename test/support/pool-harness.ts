import { vi } from 'vitest'
import { GcBallast } from '../../src/memory/gc-ballast.js'
import { systemClock } from '../../src/platform/clock.js'
import { RunRequest, type RunRequestOptions } from '../../src/pools/queue/run-request.js'
import type { PoolListener, PoolSettings, PoolSource } from '../../src/pools/settings/pool-settings.js'
import type { StuckReplica } from '../../src/pools/settings/stuck-replica.js'
import { VersionPool } from '../../src/pools/version-pool.js'
import { RequestTracker } from '../../src/requests/request-tracker.js'
import { FakeThreads, yOf } from './fake-host.js'

export const source: PoolSource = {
  task: {
    kind: 'load',
    loader: undefined,
    source: '/m.onnx',
    sessionOptions: {},
    artifact: undefined,
    loaderOptions: undefined,
  },
}

const defaults: Omit<PoolSettings, 'outbox'> = {
  clock: systemClock,
  ballast: new GcBallast(0),
  model: 'fake',
  version: '1',
  replicas: 1,
  maxQueue: 100,
  stuckAfterMs: 0,
  loadTimeoutMs: 10_000,
  crashBudget: 5,
  crashWindowMs: 60_000,
  restartBackoffMs: 100,
  maxRestartBackoffMs: 5_000,
  maxPackMs: 0,
  maxPackBytes: 2 ** 20,
  batching: undefined,
}

export interface Outcome {
  readonly y?: number
  readonly error?: Error & { code?: string }
}

/** A request with its outcome once it has one, and the number of its settlements. */
export class Asked {
  outcome: Outcome | undefined
  settlements = 0

  readonly request: RunRequest

  constructor(request: RunRequest) {
    this.request = request
    request.onSettled = () => {
      this.settlements += 1
    }
    request.promise.then(
      (outputs) => {
        this.outcome = { y: yOf(outputs) }
      },
      (error) => {
        this.outcome = { error }
      },
    )
  }

  get code(): string | undefined {
    return this.outcome?.error?.code
  }

  get y(): number | undefined {
    return this.outcome?.y
  }
}

/** A pool over fake hosts, with a record of all its events. */
export class PoolKit {
  readonly threads = new FakeThreads()
  /** A tracker of all requests that `ask` submits. */
  readonly tracker = new RequestTracker()
  readonly lost: { cause: Error & { code?: string }; restartInMs: number | undefined }[] = []
  readonly stuck: StuckReplica[] = []
  /** Unexpected errors, which must be empty at the end of a test. */
  readonly unexpected: unknown[] = []
  readonly failed: (Error & { code?: string })[] = []
  readonly pool: VersionPool
  readonly settings: PoolSettings
  /** Called at every event, before anything else happens. */
  onEvent: ((what: string) => void) | undefined

  constructor(settings: Partial<PoolSettings> = {}, from: PoolSource = source) {
    const listener: PoolListener = {
      replicaLost: (cause, restartInMs) => {
        this.lost.push({ cause, restartInMs })
        this.onEvent?.('replicaLost')
      },
      replicaStuck: (stuck) => {
        this.stuck.push(stuck)
        this.onEvent?.('replicaStuck')
      },
      poolFailed: (cause) => {
        this.failed.push(cause)
        this.onEvent?.('poolFailed')
      },
      batchingDecided: () => undefined,
      batchingFailed: () => undefined,
      unexpected: (error) => this.unexpected.push(error),
    }
    this.settings = { outbox: this.tracker.outbox, ...defaults, ...settings }
    this.pool = new VersionPool(this.settings, from, this.threads.create, listener)
  }

  /** Returns a pool whose replicas are all loaded. */
  static async open(settings: Partial<PoolSettings> = {}, from: PoolSource = source): Promise<PoolKit> {
    const kit = new PoolKit(settings, from)
    const starting = kit.pool.start()
    await kit.load(kit.settings.replicas)
    await starting
    return kit
  }

  /** Completes `count` loads in the order in which they begin. */
  async load(count = 1): Promise<void> {
    for (let loaded = 0; loaded < count; loaded += 1) {
      this.threads.loading[0]?.finishLoad()
      await turn()
    }
  }

  ask(x: number, options: RunRequestOptions = {}): Asked {
    const tracked = this.tracker.receive('fake')
    tracked.version = '1'
    const request = new RunRequest(systemClock, 'fake', '1', options, undefined, tracked)
    request.inputs = [{ type: 'float32', dims: [1], data: Float32Array.of(x) }]
    const sent = new Asked(request)
    this.submit(request)
    return sent
  }

  /** Submits a request in a separate tick, so that the pool has done all that it can when this returns. */
  submit(request: RunRequest): void {
    const nextTick = vi.spyOn(process, 'nextTick').mockImplementation((work) => work())
    this.pool.submit(request)
    nextTick.mockRestore()
  }

  /** Completes the run of `x`. */
  async answer(x: number, y = x): Promise<void> {
    this.threads.running(x).answer(y)
    await turn()
  }

  async crash(x: number): Promise<void> {
    this.threads.running(x).exit()
    await turn()
  }
}

/** Compares the counts of the pool with those of the tracker, which are always correct. */
export function disagreement({ pool, tracker }: PoolKit): string | undefined {
  const { queued, inFlight } = pool.stats()
  const states = tracker.active().map(({ state }) => state)
  const count = (state: string): number => states.filter((other) => other === state).length
  const ours = `${pool.leaseCount} leases, ${queued} queued, ${inFlight} in flight`
  const theirs = `${count('queued') + count('running')} leases, ${count('queued')} queued, ${count('running')} in flight`
  return ours === theirs ? undefined : `the pool has ${ours}, the tracker ${theirs}`
}

/** Runs all pending promise jobs. */
export async function turn(): Promise<void> {
  if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(0)
  else for (let i = 0; i < 20; i += 1) await Promise.resolve()
}

/** Follows a promise without awaiting it. */
export function follow<T>(promise: Promise<T>): {
  value?: T
  error?: Error & { code?: string }
  isSettled: boolean
} {
  const seen: { value?: T; error?: Error & { code?: string }; isSettled: boolean } = { isSettled: false }
  promise.then(
    (value) => {
      seen.value = value
      seen.isSettled = true
    },
    (error) => {
      seen.error = error
      seen.isSettled = true
    },
  )
  return seen
}
