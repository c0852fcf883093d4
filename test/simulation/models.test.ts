import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type LoadFate, type RunFate, World } from './world.js'

type Move =
  | {
      readonly kind: 'predict'
      readonly version: string | undefined
      readonly timeoutMs: number | undefined
      readonly priority: number
    }
  | { readonly kind: 'abort' | 'crash'; readonly pick: number }
  | { readonly kind: 'load' | 'swap'; readonly version: string; readonly drainsFirst: boolean }
  | { readonly kind: 'rollback' | 'evict' }
  | { readonly kind: 'unload'; readonly version: string | undefined }
  | { readonly kind: 'resize'; readonly replicas: number }
  | { readonly kind: 'loads'; readonly fate: LoadFate }
  | { readonly kind: 'runs'; readonly fate: RunFate }
  | { readonly kind: 'wait'; readonly ms: number }

const version = fc.constantFrom('1', '2', '3')
const kind = <K extends string>(name: K) => fc.constant(name)
const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: kind('predict'),
      version: fc.option(version, { nil: undefined, freq: 4 }),
      timeoutMs: fc.option(fc.nat(300), { nil: undefined }),
      priority: fc.integer({ min: -1, max: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('abort' as const, 'crash' as const), pick: fc.nat(50) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('load' as const, 'swap' as const),
      version,
      drainsFirst: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('rollback' as const, 'evict' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: kind('unload'), version: fc.option(version, { nil: undefined }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('resize'), replicas: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('loads'),
      fate: fc.constantFrom<LoadFate>('loads', 'loads', 'fails', 'dies', 'hangs'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('runs'),
      fate: fc.constantFrom<RunFate>('answers', 'answers', 'fails', 'dies', 'hangs'),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: kind('wait'), ms: fc.nat(120) }) },
)
const program = fc.record({
  options: fc.record({
    replicas: fc.integer({ min: 1, max: 2 }),
    maxQueue: fc.integer({ min: 0, max: 8 }),
    standbyMs: fc.constantFrom(0, 50),
    modelIdleMs: fc.constantFrom(0, 60),
    crashBudget: fc.integer({ min: 0, max: 3 }),
    stuckAfterMs: fc.constantFrom(0, 200),
    drainTimeoutMs: fc.constantFrom(50, 1_000),
  }),
  moves: fc.array(moves, { minLength: 1, maxLength: 80, size: 'max' }),
  closeMs: fc.constantFrom(0, 100, 2_000),
})

const NAME = 'm'

type Effects = { readonly [K in Move['kind']]: (world: World, move: Extract<Move, { kind: K }>) => unknown }

const choose = <T>(among: readonly T[], index: number): T | undefined =>
  among[index % Math.max(1, among.length)]
const source = { modelType: 'fake', source: '/m' }

const effects: Effects = {
  predict: (world, { version, timeoutMs, priority }) =>
    world.predict(NAME, {
      priority,
      ...(version !== undefined && { version }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    }),
  abort: (world, { pick }) => choose(world.asked, pick)?.controller.abort(),
  crash: (world, { pick }) => choose(world.alive, pick)?.exit(),
  load: (world, { version }) => world.call(world.models.loadModel({ name: NAME, version, ...source })),
  swap: (world, { version, drainsFirst }) =>
    world.call(
      world.models.hotSwapModel({
        name: NAME,
        newVersion: version,
        ...source,
        config: { swapStrategy: drainsFirst ? 'resource-preserving' : 'parallel' },
      }),
    ),
  rollback: (world) => world.call(world.models.rollback(NAME)),
  evict: (world) => world.call(world.models.cleanupUnusedModels({ maxAgeMs: 0 })),
  unload: (world, { version }) => world.call(world.models.unloadModel(NAME, version)),
  resize: (world, { replicas }) => world.call(world.models.getModel(NAME)?.resize(replicas)),
  loads: (world, { fate }) => {
    world.loadFate = fate
  },
  runs: (world, { fate }) => {
    world.runFate = fate
  },
  wait: (world, { ms }) => world.clock.advance(ms),
}

async function run(world: World, moves: readonly Move[]): Promise<void> {
  for (const move of moves) {
    await (effects[move.kind] as (world: World, move: Move) => unknown)(world, move)
    await world.clock.settle()
    world.check()
  }
}

/** Closes, and looks at what is left the moment that is over. */
async function closeAndCheck(world: World, timeoutMs: number): Promise<void> {
  let isOver = false
  void world.close(timeoutMs).then(() => {
    isOver = true
  })
  for (let waitedMs = 0; !isOver && waitedMs < 60_000; waitedMs += 100) await world.clock.advance(100)
  expect(isOver).toBe(true)
  world.checkEnd()
  expect(world.problems).toEqual([])
}

it('whatever happens, every request and call settles as promised, and nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(program, async ({ options, moves, closeMs }) => {
      const world = new World({
        loadTimeoutMs: 500,
        restartBackoffMs: 10,
        maxRestartBackoffMs: 100,
        ...options,
      })
      await run(world, moves)
      await closeAndCheck(world, closeMs)
    }),
    { numRuns: Number(process.env.SIMULATION_RUNS ?? 2_000) },
  )
})

/** Nothing in it can be the reason why a request is not answered. */
const harmless = moves.filter((move) => {
  if (move.kind === 'predict') return move.version === undefined && move.timeoutMs === undefined
  return !['abort', 'crash', 'unload', 'loads', 'runs'].includes(move.kind)
})

it('no request is lost by loads, swaps, rollbacks, evictions and other numbers of replicas', async () => {
  const settings = fc.record({
    replicas: fc.integer({ min: 1, max: 2 }),
    standbyMs: fc.constantFrom(0, 50),
    modelIdleMs: fc.constantFrom(0, 60),
  })
  const program = fc.array(harmless, { minLength: 1, maxLength: 80, size: 'max' })
  await fc.assert(
    fc.asyncProperty(settings, program, async (options, moves) => {
      const world = new World({ drainTimeoutMs: 60_000, ...options })
      await run(world, [{ kind: 'load', version: '1', drainsFirst: false }, ...moves])
      // A close gives up the loads that requests wait for.
      await world.clock.advance(1_000)
      await closeAndCheck(world, 60_000)
      // Those that were asked when there was nothing to ask are refused.
      const asked = world.asked.filter(({ version }) => version !== undefined)
      expect(asked.filter(({ outcome }) => outcome?.y === undefined)).toEqual([])
    }),
    { numRuns: Number(process.env.SIMULATION_RUNS ?? 2_000) },
  )
})

it('a close is not over before a replica that could not be started has ended, or is given up', async () => {
  const world = new World({ loadTimeoutMs: 50, restartBackoffMs: 10, replicas: 1, crashBudget: 1 })
  world.call(world.models.loadModel({ name: NAME, version: '1', ...source }))
  await world.clock.advance(100)
  world.loadFate = 'hangs'
  world.alive[0]?.exit()
  // The load of its replacement has been given up, and the thread is being ended.
  await world.clock.advance(100)
  await closeAndCheck(world, 1_000)
})

it('a close waits for no replica that was given up while its pool was being ended', async () => {
  const world = new World({ replicas: 2, crashBudget: 0, stuckAfterMs: 200, drainTimeoutMs: 30_000 })
  world.runFate = 'hangs'
  world.call(world.models.loadModel({ name: NAME, version: '1', ...source }))
  await world.clock.advance(40)
  world.predict(NAME, {})
  world.predict(NAME, {})
  await world.clock.settle()
  world.asked[0]?.controller.abort()
  // The run whose caller has left is given up first, and with it the pool.
  await world.clock.advance(230)
  await closeAndCheck(world, 0)
})

it('a request that waits for an evicted version is answered by the load of it that came first', async () => {
  const world = new World({ replicas: 1 })
  const load = () => world.models.loadModel({ name: NAME, version: '1', ...source })
  world.call(load())
  await world.clock.advance(100)
  world.call(world.models.cleanupUnusedModels({ maxAgeMs: 0 }))
  await world.clock.advance(100)
  world.call(load())
  world.predict(NAME, {})
  await world.clock.advance(100)
  expect(world.asked[0]?.outcome?.y).toBeDefined()
  await closeAndCheck(world, 1_000)
})
