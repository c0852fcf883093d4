import type { Prepared } from '../artifacts/artifacts.js'
import type { ModelConfig } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import type { HostOrder, Ports } from '../models/context/ports.js'
import type { RepositoryVersion } from '../models/repository/repository.js'
import type { Logger } from '../telemetry/logger.js'
import { axisSetsOf } from '../tensors/input/empty-axes.js'
import type { Signature } from '../tensors/tensor.js'
import { barePorts } from './bare-ports.js'
import type { TestClock } from './test-clock.js'
import type { TestModel, TestVersion } from './test-model.js'
import { TestReplica } from './test-replica.js'

const MEMORY = { pssBytes: 0, anonymousBytes: 0 }

/** Machine whose model directory is a table of a test, and on which replicas are functions. */
export class TestMachine {
  readonly #models: Readonly<Record<string, TestModel>>
  readonly #clock: TestClock
  readonly #replicas = new Map<TestReplica, { readonly model: string; readonly version: string }>()
  #threads = 0
  #awaited = 0

  constructor(models: Readonly<Record<string, TestModel>>, clock: TestClock) {
    this.#models = models
    this.#clock = clock
  }

  /** True while a replica waits for a promise of the test. */
  get isWaiting(): boolean {
    return this.#awaited > 0
  }

  /** Returns the replicas of a version that are alive, those inside a run first. */
  replicasOf(model: string, version: string): TestReplica[] {
    const alive = [...this.#replicas].filter(([, own]) => own.model === model && own.version === version)
    const rank = ([replica]: [TestReplica, unknown]): number => (replica.task?.message.kind === 'run' ? 0 : 1)
    return alive.sort((one, other) => rank(one) - rank(other)).map(([replica]) => replica)
  }

  /** Returns the ports of a runtime to this machine. */
  ports(logger: Logger): Ports {
    const read = async (): Promise<typeof MEMORY> => MEMORY
    return {
      ...barePorts(logger),
      clock: this.#clock,
      hosts: (order) => () => this.#replica(order),
      repository: {
        scan: async () => ({ found: this.#known(), problems: [] }),
        find: async (_, name, version) => this.#versionOf(name, version),
      },
      inspectSource: async ({ model, version, source }) => {
        this.#behaviourOf(model, version, source)
        return { stamp: '0', isFile: true }
      },
      artifacts: {
        prepare: async ({ model, version, source }) => prepared(this.#signatureOf(model, version, source)),
        release: async () => undefined,
        close: () => undefined,
      },
      memory: { read, recent: read, last: () => undefined },
      cores: 1,
      memoryBytes: Number.MAX_SAFE_INTEGER,
    }
  }

  /** Versions in the model directory: all of the models that have an active version at the start. */
  #known(): RepositoryVersion[] {
    return Object.entries(this.#models).flatMap(([name, { active, versions }]) =>
      active === false
        ? []
        : Object.keys(versions).map((version) => this.#versionOf(name, version) as RepositoryVersion),
    )
  }

  #versionOf(name: string, version: string): RepositoryVersion | undefined {
    const model = own(this.#models, name)
    const behaviour = model && own(model.versions, version)
    if (behaviour === undefined) return undefined
    const config = { ...model?.config, ...behaviour.config } as ModelConfig
    return { name, version, source: `test:${name}@${version}`, sha256: undefined, config }
  }

  #behaviourOf(model: string, version: string, source: string): TestVersion {
    const behaviour = own(own(this.#models, model)?.versions ?? {}, version)
    if (behaviour !== undefined) return behaviour
    throw new errors.ERR_MODEL_LOAD(
      `${source} cannot be loaded: a test runtime reads no files, and its \`models\` have no ${model}@${version}; add it to \`models\` of createTestRuntime`,
      { model, version },
    )
  }

  #signatureOf(model: string, version: string, source: string): Signature {
    const { signature } = this.#behaviourOf(model, version, source)
    return signature ?? (this.#models[model] as TestModel).signature
  }

  #replica({ model, version, logLevel }: HostOrder): TestReplica {
    this.#threads += 1
    const source = `test:${model}@${version}`
    const replica = new TestReplica({
      identity: { model, version, threadId: this.#threads, logLevel: logLevel() },
      signature: this.#signatureOf(model, version, source),
      behaviour: this.#behaviourOf(model, version, source),
      clock: this.#clock,
      onGone: () => this.#replicas.delete(replica),
      onWait: (answer) => this.#await(answer),
    })
    this.#replicas.set(replica, { model, version })
    return replica
  }

  #await(answer: Promise<unknown>): void {
    this.#awaited += 1
    const over = (): void => {
      this.#awaited -= 1
    }
    answer.then(over, over)
  }
}

/** Returns how a function is loaded: as it is. Its inputs may have no rows. */
function prepared(signature: Signature): Prepared {
  return {
    entry: undefined,
    bytes: 0,
    reason: 'a test runtime has no artifacts',
    emptyAxes: { fatal: [], answered: axisSetsOf(signature) },
    build: undefined,
  }
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}
