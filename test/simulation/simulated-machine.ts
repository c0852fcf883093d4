import type { Prepared, PrepareOrder } from '../../src/artifacts/artifacts.js'
import { errors } from '../../src/errors/errors.js'
import type { HoldLock } from '../../src/models/context/locks.js'
import type { HostOrder, Ports } from '../../src/models/context/ports.js'
import type { Logger } from '../../src/telemetry/logger.js'
import { barePorts } from '../../src/testing/bare-ports.js'
import type { Conditions, SimulatedPool } from './conditions.js'
import type { SimulatedClock } from './simulated-clock.js'
import { ALONE, BATCHED, type HostEvents, SimulatedHost } from './simulated-host.js'

const MIB = 2 ** 20
/** The file size of every model. */
const MODEL_BYTES = MIB
/** The memory of one replica, which is less than its reservation. */
const REPLICA_BYTES = 12 * MIB
const REPLICAS = 2
/** The estimate for a pool of two replicas before it was measured. */
export const ROOM_BYTES = (REPLICAS + 1) * MODEL_BYTES + REPLICAS * REPLICA_BYTES

export interface MachineOptions {
  readonly clock: SimulatedClock
  readonly conditions: Conditions
  readonly events: HostEvents
  readonly logger: Logger
  readonly batching: boolean
  readonly hold: HoldLock
}

/** Simulated threads, files, processes and memory. */
export class SimulatedMachine {
  readonly hosts: SimulatedHost[] = []
  /** Artifacts in use, with the number of their users. */
  readonly marks = new Map<string, number>()
  /** The number of calls of ports that have not returned. */
  busy = 0
  readonly #options: MachineOptions
  #pools = 0
  /** Callbacks that reject preparations in progress when the artifacts are closed. */
  readonly #onClose: ((error: Error) => void)[] = []
  #isClosed = false

  constructor(options: MachineOptions) {
    this.#options = options
  }

  get alive(): SimulatedHost[] {
    return this.hosts.filter((host) => !host.isGone)
  }

  get heldBytes(): number {
    return REPLICA_BYTES * this.alive.length
  }

  /** Lets all hanging tasks return. */
  thaw(): void {
    for (const host of this.hosts) host.thaw()
  }

  /** Returns the ports of a runtime to this machine. */
  ports(): Ports {
    const { clock, conditions, logger } = this.#options
    const read = async (): Promise<{ pssBytes: number; anonymousBytes: number }> => {
      await this.#after(conditions.briefMs())
      const bytes = this.heldBytes + conditions.pressureBytes
      return { pssBytes: bytes, anonymousBytes: bytes }
    }
    const bare = barePorts(logger)
    return {
      ...bare,
      clock,
      hosts: (order) => this.#hosts(order),
      repository: { scan: async () => ({ found: [], problems: [] }), find: async () => undefined },
      inspectSource: async (order) => {
        const fate = conditions.sources.next()
        await this.#after(conditions.briefMs())
        if (fate === 'there') return { stamp: '1', isFile: true }
        conditions.spoilt(order)
        throw new errors.ERR_MODEL_LOAD('there is no such file')
      },
      artifacts: {
        prepare: (order) => this.#prepare(order),
        release: ({ entry }) => this.#release(entry?.key),
        close: () => {
          this.#isClosed = true
          const error = new errors.ERR_RUNTIME_CLOSED('the artifacts are closed')
          for (const reject of this.#onClose.splice(0)) reject(error)
        },
      },
      memory: { read, recent: read, last: () => undefined },
      allocator: { ...bare.allocator, reclaim: () => this.#after(conditions.briefMs()) },
      random: () => conditions.below(2 ** 30) / 2 ** 30,
      cores: REPLICAS,
      memoryBytes: 2 ** 40,
      hold: this.#options.hold,
    }
  }

  #hosts({ model, version }: HostOrder): () => SimulatedHost {
    const { conditions, events, batching } = this.#options
    this.#pools += 1
    const pool: SimulatedPool = { id: this.#pools, model, version, signature: batching ? BATCHED : ALONE }
    return () => {
      const host = new SimulatedHost(pool, conditions, events)
      if (conditions.loses('thread')) host.terminate = () => new Promise(() => undefined)
      this.hosts.push(host)
      return host
    }
  }

  async #prepare(order: PrepareOrder): Promise<Prepared> {
    const { conditions } = this.#options
    const fate = conditions.prepares.next()
    if (fate === 'fails') conditions.spoilt(order)
    await this.#interruptible(conditions.loadMs())
    const plain: Prepared = {
      entry: undefined,
      bytes: MODEL_BYTES,
      reason: 'there are none here',
      build: undefined,
    }
    if (fate === 'fails') throw new errors.ERR_MODEL_LOAD('the file is damaged')
    if (fate === 'ready') return this.#made(order)
    if (fate !== 'later') return plain
    const build = async (): Promise<Prepared> => {
      const isFailing = conditions.below(6) === 0
      await this.#interruptible(conditions.loadMs())
      return isFailing ? plain : this.#made(order)
    }
    return { ...plain, build }
  }

  #made({ model, version }: PrepareOrder): Prepared {
    const key = `${model}@${version}`
    this.marks.set(key, (this.marks.get(key) ?? 0) + 1)
    const entry = { key, folder: '/artifacts', form: 'external' as const, files: [], rejected: [] }
    return { entry, bytes: MODEL_BYTES, reason: undefined, build: undefined }
  }

  async #release(key: string | undefined): Promise<void> {
    if (key === undefined) return
    await this.#after(this.#options.conditions.briefMs())
    const count = (this.marks.get(key) ?? 0) - 1
    if (count < 0) this.#options.events.violated(`the artifact ${key} was released more often than taken`)
    if (count === 0) this.marks.delete(key)
    else this.marks.set(key, count)
  }

  /** Waits `ms`; a close of the artifacts usually interrupts the wait, but sometimes does not. */
  #interruptible(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.reject(new errors.ERR_RUNTIME_CLOSED('the artifacts are closed'))
    if (this.#options.conditions.below(4) === 0) return this.#after(ms)
    return new Promise((resolve, reject) => {
      this.#onClose.push(reject)
      this.#options.conditions.later(ms, resolve)
    })
  }

  #after(ms: number): Promise<void> {
    this.busy += 1
    return new Promise((resolve) => {
      this.#options.conditions.later(ms, () => {
        this.busy -= 1
        resolve()
      })
    })
  }
}
