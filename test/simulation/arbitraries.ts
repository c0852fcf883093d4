import fc from 'fast-check'
import {
  type Action,
  type Command,
  EVENTS,
  type HandlerFate,
  type Listening,
  type LoadFate,
  type PrepareFate,
  type Program,
  type RunFate,
  type SourceFate,
} from './program.js'

const MODELS = ['a', 'b'] as const
const VERSIONS = ['1', '2', '3'] as const
const MAX_COMMANDS = 200

const kind = <K extends string>(...names: K[]): fc.Arbitrary<K> => fc.constantFrom(...names)
/** Returns an arbitrary that is defined in `ofTen` of ten cases. */
const some = <T>(arbitrary: fc.Arbitrary<T>, ofTen: number): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { withCrossShrink: true },
    { weight: 10 - ofTen, arbitrary: fc.constant(undefined) },
    { weight: ofTen, arbitrary },
  )
const model = fc.constantFrom('a', 'a', ...MODELS)
const version = fc.constantFrom(...VERSIONS)
const count = fc.integer({ min: 1, max: 4 })
const handlerFate = fc.constantFrom<HandlerFate>('done', 'done', 'fails', 'hangs', 'obeys')

/** The frequency of each action, relative to the others. */
const weighted: [weight: number, arbitrary: fc.Arbitrary<Action>][] = [
  [
    260,
    fc.record({
      kind: kind('predict'),
      model,
      version: some(version, 2),
      timeoutMs: some(fc.nat(300), 2),
      signalMs: some(fc.nat(300), 1),
      priority: some(fc.integer({ min: -1, max: 1 }), 2),
      count: fc.constantFrom(1, 1, 1, 2, 5),
      viaHandle: fc.constantFrom(false, false, false, true),
    }),
  ],
  [30, fc.record({ kind: kind('abort', 'crash'), pick: fc.nat(50) })],
  [50, fc.record({ kind: kind('load'), model, version, promote: fc.boolean() })],
  [
    60,
    fc.record({
      kind: kind('swap'),
      model,
      version,
      drainsFirst: fc.constantFrom(false, false, true),
      oldVersion: some(version, 1),
    }),
  ],
  [20, fc.record({ kind: kind('rollback'), model })],
  [20, fc.record({ kind: kind('evict'), maxAgeMs: fc.constantFrom(0, 0, 50) })],
  [14, fc.record({ kind: kind('unload'), model, version: some(version, 8) })],
  [18, fc.record({ kind: kind('resize'), model, replicas: fc.integer({ min: 1, max: 3 }) })],
  [
    12,
    fc.record({
      kind: kind('loads'),
      fate: fc.constantFrom<LoadFate>('fails', 'dies', 'hangs'),
      count,
    }),
  ],
  [
    16,
    fc.record({
      kind: kind('runs'),
      fate: fc.constantFrom<RunFate>('fails', 'dies', 'hangs'),
      count,
    }),
  ],
  [
    20,
    fc.record({
      kind: kind('prepares'),
      fate: fc.constantFrom<PrepareFate>('ready', 'ready', 'later', 'later', 'later', 'fails'),
      count,
    }),
  ],
  [4, fc.record({ kind: kind('sources'), fate: fc.constant<SourceFate>('missing'), count })],
  [8, fc.record({ kind: kind('pressure'), mib: fc.constantFrom(0, 0, 20, 60) })],
  [
    10,
    fc.record({ kind: kind('initialize'), name: fc.constantFrom('db', 'cache', 'pool'), fate: handlerFate }),
  ],
  [4, fc.record({ kind: kind('cleanUp'), name: fc.constantFrom('db', 'cache', 'pool') })],
  [4, fc.record({ kind: kind('cleans', 'makes'), fate: handlerFate })],
  [14, fc.record({ kind: kind('acquire'), timeoutMs: fc.constantFrom(20, 500) })],
  [10, fc.record({ kind: kind('release', 'finish'), pick: fc.nat(10) })],
  [2, fc.record({ kind: kind('addHandler'), fate: handlerFate, timeoutMs: fc.constantFrom(50, 1_000) })],
  [20, fc.record({ kind: kind('begin', 'thaw', 'health', 'stats') })],
  [1, fc.record({ kind: kind('close'), timeoutMs: fc.constantFrom(0, 100, 2_000) })],
]
const action: fc.Arbitrary<Action> = fc.oneof(
  ...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })),
)
const pause: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: kind('wait'), ms: fc.nat(120) }) },
  { weight: 8, arbitrary: fc.record({ kind: kind('turns'), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('stall'), ms: fc.nat(60) }) },
)
const pace = fc.constantFrom('settled' as const, 'settled' as const, 'settled' as const, 0, 1, 2, 3, 5, 8)
const command: fc.Arbitrary<Command> = fc
  .tuple(fc.oneof({ weight: 2, arbitrary: action }, { weight: 1, arbitrary: pause }), pace)
  .map(([done, pace]) => ({ ...done, pace }))
const listening: fc.Arbitrary<Listening> = fc.record({
  event: fc.constantFrom(...EVENTS),
  nth: fc.integer({ min: 1, max: 30 }),
  action: fc.oneof(
    { weight: 9, arbitrary: action },
    { weight: 1, arbitrary: fc.constant({ kind: 'throw' as const }) },
  ),
})
const settings = fc.record({
  replicas: fc.integer({ min: 1, max: 2 }),
  maxQueue: fc.constantFrom(0, 1, 3, 8, 100, 100),
  standbyMs: fc.constantFrom(0, 0, 50),
  modelIdleMs: fc.constantFrom(0, 0, 60),
  minReplicas: fc.constantFrom(undefined, undefined, undefined, 1),
  crashBudget: fc.integer({ min: 0, max: 3 }),
  stuckAfterMs: fc.constantFrom(0, 200, 200),
  drainTimeoutMs: fc.constantFrom(50, 1_000, 60_000),
  loadTimeoutMs: fc.constantFrom(200, 500, 0),
  maxConcurrentLoads: fc.constantFrom(1, 1, 2),
  maxPackMs: fc.constantFrom(0, 2, 20),
  batching: fc.boolean(),
  rooms: fc.constantFrom(0, 0, 1, 2, 3),
})

export const programs: fc.Arbitrary<Program> = fc.record({
  // Another order of events is another program, and says nothing about a smaller one.
  seed: fc.noShrink(fc.nat()),
  settings,
  models: fc.constantFrom(['a', 'b'], ['a', 'b'], ['a'], []),
  onLoadError: fc.constantFrom('throw' as const, 'degrade' as const),
  isHasty: fc.constantFrom(false, false, false, true),
  listeners: fc.array(listening, { maxLength: 3 }),
  commands: fc.array(command, { minLength: 1, maxLength: MAX_COMMANDS, size: 'max' }),
  endsCalmly: fc.boolean(),
  closeMs: fc.constantFrom(0, 100, 2_000),
})
