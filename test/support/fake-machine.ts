import type { Prepared } from '../../src/artifacts/artifacts.js'
import { errors } from '../../src/errors/errors.js'
import type { Ports } from '../../src/models/context/ports.js'
import type { RepositoryVersion } from '../../src/models/repository/repository.js'
import type { LoadTask } from '../../src/protocol/replica/replica-task.js'
import type { Logger } from '../../src/telemetry/logger.js'
import type { EmptyAxes } from '../../src/tensors/input/empty-axes.js'
import { barePorts } from '../../src/testing/bare-ports.js'
import { TestClock } from '../../src/testing/test-clock.js'
import { gatedLoader, limitedLoader } from './runtime-harness.js'
import { gatedModel, limitedModel } from './simulated-loaders.js'
import { type SimulatedLoader, SimulatedThread } from './simulated-thread.js'

const MIB = 2 ** 20

/** Threads, files, processes, memory and time, none of which are there. */
export class FakeMachine {
  readonly clock = new TestClock()
  readonly threads: SimulatedThread[] = []
  /** Loaders of applications, by the URL of their module. */
  readonly loaders = new Map<string, SimulatedLoader>([
    [gatedLoader.href, gatedModel],
    [limitedLoader.href, limitedModel],
  ])
  /** Number of cores, for replicas that are `auto`. */
  cores = 4
  fileBytes = MIB
  replicaBytes = 12 * MIB
  /** Memory of the process beside replicas. */
  otherBytes = 0
  /** Result of the trial of inputs without elements, for models of the built-in loader. */
  emptyAxes: EmptyAxes | undefined
  /** Takes the place of the allocator's `reclaim`. */
  reclaim: () => Promise<void> = async () => undefined
  readonly #files = new Map<string, { readonly model: SimulatedLoader; readonly stamp: string }>()
  #stamps = 0

  /** The threads that have begun and are not gone. */
  get alive(): SimulatedThread[] {
    return this.threads.filter(({ id, isGone }) => id !== undefined && !isGone)
  }

  /** Puts a model file at `path`, for the built-in loader. */
  write(path: string, model: SimulatedLoader): void {
    this.#stamps += 1
    this.#files.set(path, { model, stamp: String(this.#stamps) })
  }

  remove(path: string): void {
    this.#files.delete(path)
  }

  /** Returns the ports of a runtime to this machine. */
  ports(logger: Logger): Ports {
    const read = async (): Promise<{ pssBytes: number; anonymousBytes: number }> => {
      const bytes = this.otherBytes + this.replicaBytes * this.alive.length
      return { pssBytes: bytes, anonymousBytes: bytes }
    }
    const surroundings = {
      loaderOf: (task: LoadTask) => this.#loaderOf(task),
      turn: () => this.#turn(),
    }
    const bare = barePorts(logger)
    return {
      ...bare,
      clock: this.clock,
      hosts: (order) => () => {
        const thread = new SimulatedThread(order, this.threads.length + 1, surroundings)
        this.threads.push(thread)
        return thread
      },
      repository: {
        scan: async (modelDir) => {
          await this.#turn()
          return { found: this.#scan(modelDir), problems: [] }
        },
        find: async (modelDir, name, version) => {
          await this.#turn()
          return this.#scan(modelDir).find((one) => one.name === name && one.version === version)
        },
      },
      inspectSource: async ({ source, isOnnx, ...subject }) => {
        await this.#turn()
        const file = this.#files.get(source)
        if (file !== undefined || !isOnnx) return { stamp: file?.stamp ?? '0', isFile: true }
        const { model, version } = subject
        throw new errors.ERR_MODEL_LOAD(`${source} cannot be loaded: there is no such file`, {
          model,
          version,
        })
      },
      artifacts: {
        prepare: async (): Promise<Prepared> => {
          await this.#turn()
          return {
            entry: undefined,
            bytes: this.fileBytes,
            reason: 'there are none here',
            emptyAxes: this.emptyAxes,
            build: undefined,
          }
        },
        release: async () => undefined,
        close: () => undefined,
      },
      memory: { read, recent: read, last: () => undefined },
      allocator: { ...bare.allocator, reclaim: () => this.reclaim() },
      cores: this.cores,
      memoryBytes: 2 ** 40,
    }
  }

  /** Returns the files in a model directory, as `<modelDir>/<name>/<version>/model.onnx`. */
  #scan(modelDir: string): RepositoryVersion[] {
    return [...this.#files.keys()].flatMap((source) => {
      const [name = '', version = '', file] = source.slice(modelDir.length + 1).split('/')
      const isModel = source.startsWith(`${modelDir}/`) && file === 'model.onnx'
      return isModel ? [{ name, version, source, sha256: undefined, config: {} }] : []
    })
  }

  #loaderOf({ loader, source }: LoadTask): SimulatedLoader {
    const found = loader === undefined ? this.#files.get(source)?.model : this.loaders.get(loader)
    if (found === undefined) throw new Error(`there is no ${loader ?? source} on this machine`)
    return found
  }

  /** Resolves in a turn of its own, which the clock waits for. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.clock.setImmediate(resolve))
  }
}
