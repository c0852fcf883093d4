import { parseOptions } from '../../src/config/parse-options.js'
import { type RuntimeConfigInput, runtimeSchema } from '../../src/config/runtime-options.js'
import type { Transition } from '../../src/lifecycle/state-machine.js'
import type { HoldLock } from '../../src/models/context/locks.js'
import type { SwapResult } from '../../src/models/rollout/hot-swap.js'
import { Runtime } from '../../src/runtime.js'
import { type Line, testLogger } from '../support/test-logger.js'
import { Application } from './application.js'
import { Callers, type Surroundings } from './callers.js'
import { Conditions } from './conditions.js'
import { Operations } from './operations.js'
import type { Action, ActionKind, ActionOf, Listening, Program, Settings } from './program.js'
import type { Random } from './random.js'
import type { SimulatedClock } from './simulated-clock.js'
import type { SimulatedHost } from './simulated-host.js'
import { ROOM_BYTES, SimulatedMachine } from './simulated-machine.js'
import { Trace } from './trace.js'
import { Transitions } from './transitions.js'

const SOURCE = '/model.onnx'
/** An error that listeners throw on purpose. */
const ON_PURPOSE = new Error('a listener throws on purpose')
/** Log lines that report an internal fault of the engine. */
const INTERNAL =
  /has thrown|listener failed|subscriber failed|unexpected error|with open requests|^the removal of|^(?:artifact (?:adoption|release)|eviction|load measurement|pool teardown|retirement .*) failed/

type Effects = { readonly [K in ActionKind]: (action: ActionOf<K>) => unknown }

/** A whole runtime over a simulated machine and clock, with all its callers. */
export class World {
  readonly clock: SimulatedClock
  readonly violations: string[] = []
  readonly trace: Trace
  readonly conditions: Conditions
  readonly machine: SimulatedMachine
  readonly runtime: Runtime
  readonly callers: Callers
  readonly application: Application
  readonly operations: Operations
  readonly transitions: Transitions
  readonly settings: Settings
  /** True once a shutdown has begun, and once it is over. */
  isClosing = false
  isClosed = false
  /** The number of checks so far. */
  checks = 0
  /** The results of the calls of `close`, each of which has to be the report of the first. */
  readonly #reports: unknown[] = []
  readonly #heard = new Map<string, number>()
  readonly #listeners: readonly Listening[]
  readonly #effects: Effects

  constructor(program: Program, chance: Random, clock: SimulatedClock, keepsTrace: boolean, hold: HoldLock) {
    const { settings, listeners = [], flaw } = program
    this.settings = settings
    this.clock = clock
    this.trace = new Trace(clock, keepsTrace)
    this.conditions = new Conditions(clock, chance, flaw)
    const violated = (what: string): void => this.violated(what)
    const happened = (what: string): void => this.trace.add(what)
    const logger = testLogger((line) => this.#read(line))
    const isAwaited = (xs: readonly number[]): boolean => this.callers.isAwaited(xs)
    this.machine = new SimulatedMachine({
      clock,
      conditions: this.conditions,
      events: { violated, happened, isAwaited },
      logger,
      batching: settings.batching ?? false,
      hold,
    })
    const config = parseOptions(runtimeSchema, configOf(program), 'World')
    this.runtime = Runtime.over(this.machine.ports(), config, logger)
    const surroundings: Surroundings = {
      clock,
      conditions: this.conditions,
      settings,
      hosts: this.machine.hosts,
      isClosing: () => this.isClosing,
      violated,
      happened,
    }
    this.operations = new Operations(violated, happened)
    this.callers = new Callers(this.runtime, surroundings)
    this.application = new Application(this.runtime, surroundings, this.operations)
    this.transitions = new Transitions(violated)
    // Replicas that return to a pool, or are added to one, have no memory reserved.
    this.conditions.isHarmed = settings.minReplicas !== undefined
    this.#listeners = listeners
    this.#effects = this.#makeEffects()
    this.#listen()
  }

  get hosts(): readonly SimulatedHost[] {
    return this.machine.hosts
  }

  violated(what: string): void {
    this.violations.push(`at ${Math.round(this.clock.now())} ms: ${what}`)
    this.trace.add(`VIOLATED: ${what}`)
  }

  /** Performs an action; its consequences come later, except for pauses. */
  perform(action: Action): Promise<unknown> | undefined {
    this.trace.add(JSON.stringify(action))
    const done = (this.#effects[action.kind] as (action: Action) => unknown)(action)
    return done instanceof Promise ? done : undefined
  }

  close(timeoutMs: number): void {
    this.isClosing = true
    const closing = this.runtime.close({ timeoutMs })
    this.operations.follow('close', closing, (report) => {
      this.isClosed = true
      this.#reports.push(report)
      if (report === undefined || report !== this.#reports[0])
        this.violated('a close has another report than the first')
    })
  }

  #makeEffects(): Effects {
    const { models } = this.runtime
    const { minReplicas } = this.settings
    const source = SOURCE
    const { operations, callers, application, conditions, clock } = this
    const drained = (swap: { drained: Promise<unknown> }): void => operations.follow('drained', swap.drained)
    return {
      predict: (action) => callers.predict(action),
      abort: ({ pick }) => callers.abort(pick),
      crash: ({ pick }) => {
        // The death of a thread arrives as a message, in a separate turn.
        conditions.later(0, () => {
          const { alive } = this.machine
          alive[pick % Math.max(1, alive.length)]?.die()
        })
      },
      load: ({ model, version, promote = false }) =>
        operations.follow(
          'load',
          models.loadModel({ name: model, version, source, promote, config: { minReplicas } }),
          undefined,
          `${model}@${version}`,
        ),
      swap: ({ model, version, drainsFirst, oldVersion }) => {
        const swapStrategy = drainsFirst ? 'resource-preserving' : 'parallel'
        const options = { name: model, newVersion: version, source, config: { swapStrategy } as const }
        const swap = models.hotSwapModel({ ...options, ...(oldVersion !== undefined && { oldVersion }) })
        const swapped = (result: SwapResult): void => {
          if (oldVersion !== undefined && result.from !== oldVersion) {
            this.violated(`a swap from ${oldVersion} only was one from ${result.from}`)
          }
          drained(result)
        }
        operations.follow('swap', swap, swapped, `${model}@${version}`)
      },
      rollback: ({ model }) => operations.follow('rollback', models.rollback(model), drained, model),
      evict: ({ maxAgeMs }) => operations.follow('evict', models.cleanupUnusedModels({ maxAgeMs })),
      unload: ({ model, version }) => {
        conditions.spoilt({ model })
        operations.follow('unload', models.unloadModel(model, version))
      },
      resize: ({ model, replicas }) => {
        const handle = models.getModel(model)
        if (handle === undefined) return
        this.conditions.isHarmed = true
        operations.follow('resize', handle.resize(replicas))
      },
      loads: ({ fate, count }) => conditions.loads.set(fate, count),
      runs: ({ fate, count }) => conditions.runs.set(fate, count),
      prepares: ({ fate, count }) => conditions.prepares.set(fate, count),
      sources: ({ fate, count }) => conditions.sources.set(fate, count),
      pressure: ({ mib }) => {
        conditions.pressureBytes = mib * 2 ** 20
        conditions.isHarmed = true
      },
      initialize: (action) => application.initialize(action),
      cleanUp: ({ name }) => application.cleanUp(name),
      cleans: ({ fate }) => {
        conditions.cleanFate = fate
      },
      makes: ({ fate }) => {
        conditions.makeFate = fate
      },
      acquire: (action) => application.acquire(action),
      release: ({ pick }) => application.release(pick),
      addHandler: (action) => application.addHandler(action),
      begin: () => application.begin(),
      finish: ({ pick }) => application.finish(pick),
      thaw: () => conditions.later(0, () => this.thaw()),
      health: () => operations.follow('health', this.runtime.health()),
      stats: () => {
        this.runtime.stats()
        this.runtime.requests.active()
      },
      throw: () => {
        throw ON_PURPOSE
      },
      close: ({ timeoutMs }) => this.close(timeoutMs),
      wait: ({ ms }) => clock.advance(ms),
      stall: ({ ms }) => clock.stall(ms),
      turns: async ({ count }) => {
        for (let turn = 0; turn < count; turn += 1) await clock.next(Number.POSITIVE_INFINITY)
      },
    }
  }

  thaw(): void {
    this.machine.thaw()
    this.application.thaw()
  }

  #listen(): void {
    const { runtime } = this
    const { requests } = runtime
    runtime.on('transition', (transition: Transition) => {
      this.transitions.observe(transition)
      // A startup that has failed ends here too.
      if (transition.component.startsWith('application') && transition.to === 'stopping')
        this.isClosing = true
      this.trace.add(
        `${transition.component}: ${transition.from} -> ${transition.to} (${transition.trigger})`,
      )
      this.#hear('transition')
    })
    runtime.on('promoted', ({ model, to }) => {
      if (!this.operations.isWanted(model, to)) this.violated(`${model}@${to} was promoted, for no call`)
      const handle = runtime.models.getModel(model)
      if (handle?.version !== to || handle.state !== 'running') {
        this.violated(`${model}@${to} was promoted, and ${handle?.version} is ${handle?.state}`)
      }
      this.#hear('promoted')
    })
    for (const event of ['replicaExited', 'replicaStuck', 'artifactDecided', 'closed'] as const) {
      runtime.on(event, () => this.#hear(event))
    }
    // A tracker with listeners runs other code than one without.
    const wanted = new Set(this.#listeners.map(({ event }) => event))
    if (wanted.has('received')) {
      requests.on('received', () => {
        this.#hear('received')
        this.callers.received()
      })
    }
    if (wanted.has('moved')) requests.on('transition', () => this.#hear('moved'))
    if (wanted.has('settled')) requests.on('settled', () => this.#hear('settled'))
  }

  #hear(event: Listening['event']): void {
    const count = (this.#heard.get(event) ?? 0) + 1
    this.#heard.set(event, count)
    for (const listener of this.#listeners) {
      if (listener.event === event && listener.nth === count) void this.perform(listener.action)
    }
  }

  #read({ level, message, fields }: Line): void {
    if (level !== 'error' || fields.err === ON_PURPOSE || !INTERNAL.test(message)) return
    this.violated(`the log says: ${message}: ${fields.err instanceof Error ? fields.err.stack : ''}`)
  }
}

function configOf({ settings, models = [], onLoadError = 'throw' }: Program): RuntimeConfigInput {
  const { batching, rooms = 0, minReplicas, ...rest } = settings
  return {
    models: models.map((name) => ({ name, version: '1', source: SOURCE, config: { minReplicas } })),
    onLoadError,
    // A failed startup is undone within this time, and a close that comes meanwhile waits for that.
    gracefulShutdownTimeoutMs: 5_000,
    restartBackoffMs: 10,
    maxRestartBackoffMs: 100,
    modelCleanupIntervalMs: 500,
    probe: 'off',
    batching: batching ? 'auto' : 'off',
    memory: { budgetBytes: rooms === 0 ? 0 : Math.floor((rooms + 0.5) * ROOM_BYTES) },
    ...rest,
  }
}
