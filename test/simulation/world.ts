import { parseOptions, type RuntimeConfig, type RuntimeConfigInput, runtimeSchema } from '../../src/config.js'
import { ERROR_TABLE } from '../../src/errors.js'
import { type LifecycleState, TRANSITIONS } from '../../src/lifecycle/states.js'
import { GcBallast } from '../../src/memory/gc-ballast.js'
import { createContext } from '../../src/models/context.js'
import { ModelLifecycleManager } from '../../src/models/model-manager.js'
import type { HostOrder, Ports } from '../../src/models/ports.js'
import type { RunResult, RunTask } from '../../src/protocol/messages.js'
import { RequestTracker } from '../../src/requests/request-tracker.js'
import { EngineEvents } from '../../src/telemetry/engine-events.js'
import type { PromotedEvent, TransitionEvent } from '../../src/telemetry/event-map.js'
import { Shortfalls } from '../../src/telemetry/shortfalls.js'
import { componentOf } from '../../src/telemetry/subject.js'
import { FakeClock } from '../fixtures/fake-clock.js'
import { FakeHost, type FakeTask, xsOf, yOf } from '../fixtures/fake-host.js'
import { type Line, listLogger } from '../fixtures/test-logger.js'

/** What is added to `x` in an answer, for each version. */
const OFFSET = 1_000_000
/** Memory of one replica. */
const REPLICA_BYTES = 10 * 2 ** 20

/** One call of `predict`. */
interface Asked {
  readonly x: number
  /** The version that it belongs to, known when it is asked; undefined if it was refused at once. */
  readonly version: string | undefined
  readonly controller: AbortController
  outcome: { readonly y?: number; readonly code?: string } | undefined
}

/** What the next loads of a version do. */
export type LoadFate = 'loads' | 'fails' | 'dies' | 'hangs'
/** What the next run of a host does. */
export type RunFate = 'answers' | 'fails' | 'dies' | 'hangs'

/** Models over fake hosts and a fake clock, and all that is promised of them. */
export class World {
  readonly clock = new FakeClock()
  readonly hosts: FakeHost[] = []
  readonly asked: Asked[] = []
  openCalls = 0
  readonly lines: Line[] = []
  readonly problems: string[] = []
  readonly models: ModelLifecycleManager
  loadFate: LoadFate = 'loads'
  runFate: RunFate = 'answers'
  /** How long a load and a run take. */
  loadMs = 20
  runMs = 5
  isClosed = false
  readonly #closing = new AbortController()
  readonly #states = new Map<string, LifecycleState[]>()
  #x = 0
  /** What hosts are inside of. */
  #hostTimers = 0

  constructor(options: RuntimeConfigInput) {
    const config: RuntimeConfig = parseOptions(runtimeSchema, { batching: 'off', ...options }, 'World')
    const logger = listLogger(this.lines)
    const tracker = new RequestTracker({ logger }, this.clock)
    const events = new EngineEvents(this.clock, logger)
    events.subscribe({
      transition: (event) => this.#observe(event),
      promoted: (event) => this.#promoted(event),
    })
    const { signal } = this.#closing
    const context = createContext(this.#ports(), config, logger, tracker, signal, events)
    this.models = new ModelLifecycleManager(context)
    this.models.registerModelLoader('fake', '/fake.mjs')
  }

  get alive(): FakeHost[] {
    return this.hosts.filter((host) => !host.isGone)
  }

  /** Asks a model, or one version of it. */
  predict(name: string, options: { version?: string; timeoutMs?: number; priority?: number }): void {
    this.#x += 1
    const x = this.#x
    const controller = new AbortController()
    const version = options.version ?? this.models.getModel(name)?.version
    const asked: Asked = { x, version, controller, outcome: undefined }
    this.asked.push(asked)
    const input = { x: Float32Array.of(x) }
    this.models.predict(name, input, { ...options, signal: controller.signal }).then(
      (outputs) => this.#settled(asked, { y: yOf(outputs) }),
      (error) => this.#settled(asked, { code: (error as { code?: string }).code ?? String(error) }),
    )
  }

  /** Keeps a call of the models' whose outcome must be documented. */
  call(promise: Promise<unknown> | undefined): void {
    if (promise === undefined) return
    this.openCalls += 1
    promise
      .catch((error: { code?: string }) => this.#checkCode('a call', error.code ?? String(error)))
      .finally(() => {
        this.openCalls -= 1
      })
  }

  async close(timeoutMs: number): Promise<void> {
    this.isClosed = true
    this.#closing.abort()
    await this.models.close(timeoutMs)
  }

  /** What must hold at any time. */
  check(): void {
    for (const { version, state, stats } of this.models.listModels()) {
      const leases = (stats.pool?.queued ?? 0) + (stats.pool?.inFlight ?? 0)
      if ((state === 'stopped' || state === 'uninitialized') && leases > 0) {
        this.problems.push(`${version} is ${state} with ${leases} leases`)
      }
    }
  }

  /** What must hold once all is closed and over. */
  checkEnd(): void {
    const open = this.asked.filter(({ outcome }) => outcome === undefined)
    if (open.length > 0) this.problems.push(`${open.length} requests never settled`)
    const left = this.hosts.filter((host) => !host.isGone && !host.isDetached)
    if (left.length > 0) this.problems.push(`${left.length} hosts are left`)
    const timers = this.clock.pending - this.#hostTimers
    if (timers > 0) this.problems.push(`${timers} timers are left`)
    if (this.openCalls > 0) this.problems.push(`${this.openCalls} calls never settled`)
    for (const { level, message, fields } of this.lines) {
      if (level === 'error' && /has thrown|with requests open/.test(message)) {
        this.problems.push(`${message}: ${String(fields.err)}`)
      }
    }
  }

  #ports(): Ports {
    const pssBytes = (): number => REPLICA_BYTES * this.hosts.filter((host) => !host.isGone).length
    const read = async () => ({ pssBytes: pssBytes(), anonymousBytes: pssBytes() })
    return {
      clock: this.clock,
      random: () => 0.5,
      hosts: (order) => () => this.#host(order),
      inspectSource: async () => ({ stamp: '1', isFile: true }),
      artifacts: {
        prepare: async () => ({
          entry: undefined,
          bytes: 1_000,
          reason: 'there are none here',
          build: undefined,
        }),
        release: async () => undefined,
        close: () => undefined,
      },
      trials: { run: async () => ({ state: 'nowhere' }), close: () => undefined },
      memory: { read, recent: read, last: () => undefined },
      allocator: {
        reclaim: async () => undefined,
        stats: () => ({ isTrimmed: false, isThresholdSet: false, reason: 'there is none here' }),
        whileLoading: (_isMapped, load) => load(),
        noteShortfall: () => undefined,
      },
      ballast: new GcBallast(0),
      shortfalls: new Shortfalls(listLogger(this.lines)),
      cores: 2,
      memoryBytes: 2 ** 40,
    }
  }

  #host({ model, version }: HostOrder): FakeHost {
    const host = new FakeHost(model, version)
    host.onTask = (task) => this.#serve(host, task, Number(version))
    this.hosts.push(host)
    return host
  }

  #serve(host: FakeHost, task: FakeTask, version: number): void {
    const { kind } = task.message
    if (kind === 'release') {
      task.reply({ ok: true })
      return
    }
    const fate = kind === 'load' ? this.loadFate : this.runFate
    if (fate === 'hangs') return
    const end = (): void => {
      // It may have died, or been given up, meanwhile.
      if (host.task !== task) return
      if (fate === 'dies') host.exit()
      else if (kind === 'load') fate === 'fails' ? host.failLoad() : host.finishLoad()
      else if (fate === 'fails') host.failRun()
      else this.#answer(task as FakeTask<RunTask>, version)
    }
    this.#hostTimers += 1
    this.clock.setTimeout(
      () => {
        this.#hostTimers -= 1
        end()
      },
      kind === 'load' ? this.loadMs : this.runMs,
    )
  }

  #answer(task: FakeTask<RunTask>, version: number): void {
    const results = xsOf(task.message).map((x): RunResult => {
      const data = Float32Array.of(x + OFFSET * version)
      return { answer: { dims: [[1]], data: [data.buffer] }, ms: this.runMs }
    })
    task.reply({ ok: true, buffer: task.message.buffer, results, hasSideWork: false })
  }

  #settled(asked: Asked, outcome: NonNullable<Asked['outcome']>): void {
    if (asked.outcome !== undefined) this.problems.push(`request ${asked.x} settled twice`)
    asked.outcome = outcome
    const { y, code } = outcome
    if (code !== undefined) this.#checkCode(`request ${asked.x}`, code)
    else if (y !== asked.x + OFFSET * Number(asked.version)) {
      this.problems.push(`request ${asked.x} of version ${asked.version} was answered with ${y}`)
    }
  }

  #promoted({ subject }: PromotedEvent): void {
    const { model, version: to } = subject
    const handle = this.models.getModel(model)
    if (handle?.version !== to || handle.state !== 'running') {
      this.problems.push(`${to} was promoted, and ${handle?.version} is ${handle?.state}`)
    }
  }

  #checkCode(what: string, code: string): void {
    if (!(code in ERROR_TABLE)) this.problems.push(`${what} rejected with ${code}`)
  }

  /** A label that is loaded again has a new life, while the threads of the one before may still be ending. */
  #observe({ subject, from, to }: TransitionEvent): void {
    const component = componentOf(subject)
    const lives = this.#states.get(component) ?? []
    this.#states.set(component, lives)
    if (from === 'uninitialized') lives.push(from)
    const life = lives.indexOf(from)
    if (life === -1)
      this.problems.push(`${component}: none of its lives is ${from}, they are ${lives.join(', ')}`)
    else lives[life] = to
    if (!TRANSITIONS[from].includes(to)) this.problems.push(`${component}: ${from} -> ${to}`)
  }
}
