import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LIFECYCLE_STATES, type LifecycleState, TRANSITIONS } from '../../src/lifecycle/state-machine.js'
import { ResourceLifecycleManager } from '../../src/resources/resource-manager.js'
import { quietManager, recordingLogger, watch } from '../support/lifecycle-harness.js'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** The behaviour of a handler: it completes after a while, fails then, or never returns. */
const behaviour = fc.record({
  kind: fc.constantFrom('done', 'done', 'done', 'fails', 'hangs'),
  afterMs: fc.integer({ min: 0, max: 400 }),
})
const step = fc.record({
  start: behaviour,
  stop: behaviour,
  timeoutMs: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
  /** The earlier steps that it depends on, by their distance. */
  back: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
})
const scenario = fc.record({
  steps: fc.array(step, { maxLength: 5 }),
  /** The times of shutdown requests, and whether the startup is requested. */
  shutdownsAtMs: fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 1, maxLength: 3 }),
  startsAtMs: fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 2 }),
})

type Behaviour = { kind: string; afterMs: number }

function act({ kind, afterMs }: Behaviour): Promise<void> {
  return new Promise((resolve, reject) => {
    if (kind === 'hangs') return
    setTimeout(() => (kind === 'done' ? resolve() : reject(new Error('fails on purpose'))), afterMs)
  })
}

it('any interleaving of startup, shutdown, failing and hanging handlers ends in a legal state, and each started handler is stopped once, in reverse', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ steps, shutdownsAtMs, startsAtMs }) => {
      const manager = quietManager({ gracefulShutdownTimeoutMs: 1_000 })
      const moves: LifecycleState[] = ['uninitialized']
      manager.on('transition', ({ from, to }) => {
        expect(TRANSITIONS[from]).toContain(to)
        expect(from).toBe(moves.at(-1))
        moves.push(to)
      })
      const started: string[] = []
      const stops: string[] = []
      let isUndoing = false
      const late = new Set<string>()
      manager.on('transition', ({ to }) => {
        if (to === 'stopping') isUndoing = true
      })
      for (const [index, { start, stop, timeoutMs, back }] of steps.entries()) {
        const name = `step ${index}`
        const dependsOn = back
          .filter((distance) => distance <= index)
          .map((distance) => `step ${index - distance}`)
        manager.addStartupHandler(
          async () => {
            await act(start)
            started.push(name)
            if (isUndoing) late.add(name)
          },
          { name, dependsOn, ...(timeoutMs === undefined ? {} : { timeoutMs }) },
        )
        manager.addShutdownHandler(
          async () => {
            stops.push(name)
            await act(stop)
          },
          { name },
        )
      }
      for (const at of startsAtMs) setTimeout(() => watch(manager.startup()), at)
      for (const at of shutdownsAtMs) setTimeout(() => watch(manager.shutdown()), at)
      await vi.advanceTimersByTimeAsync(10_000)
      expect(['stopped', 'error']).toContain(manager.state)
      expect(LIFECYCLE_STATES).toContain(manager.state)
      // Every started handler, whenever it started, has been stopped once, and nothing else has.
      expect([...stops].sort()).toEqual([...started].sort())
      const inTime = started.filter((name) => !late.has(name))
      expect(stops.filter((name) => !late.has(name))).toEqual([...inTime].reverse())
    }),
    { numRuns: 300 },
  )
})

const resourceMove = fc.record({
  kind: fc.constantFrom('init', 'init', 'cleanup'),
  atMs: fc.integer({ min: 0, max: 900 }),
  name: fc.constantFrom('a', 'b', 'c', 'd'),
  init: behaviour,
  clean: behaviour,
})
const withResources = fc.record({
  start: behaviour,
  startTimeoutMs: fc.integer({ min: 1, max: 500 }),
  stop: behaviour,
  moves: fc.array(resourceMove, { maxLength: 12 }),
  shutdownAtMs: fc.integer({ min: 0, max: 1_000 }),
})

it('resources that come and go during a lifecycle are all cleaned up once, the latest first, and end in a legal state', async () => {
  await fc.assert(
    fc.asyncProperty(withResources, async ({ start, startTimeoutMs, stop, moves, shutdownAtMs }) => {
      const manager = quietManager({ gracefulShutdownTimeoutMs: 1_000 })
      const resources = new ResourceLifecycleManager({ logger: recordingLogger(), cleanupTimeoutMs: 300 })
      // A runtime cleans up its resources in the same way.
      manager.addShutdownStep(
        ({ timeoutMs }) => resources.close(timeoutMs === undefined ? {} : { timeoutMs }),
        { name: 'resources' },
        { windUpMs: 2_000 },
      )
      manager.addStartupHandler(() => act(start), { name: 'server', timeoutMs: startTimeoutMs })
      manager.addShutdownHandler(() => act(stop), { name: 'server' })
      for (const machine of [manager, resources]) {
        machine.on('transition', ({ from, to }) => expect(TRANSITIONS[from]).toContain(to))
      }
      let created = 0
      const things = new Set<number>()
      const cleaned: number[] = []
      /** The resources that were running when the shutdown began, in the order of initialisation. */
      let atTheEnd: number[] = []
      resources.registerResourceType(
        'thing',
        async ({ init }: { init: Behaviour; clean: Behaviour }) => {
          await act(init)
          created += 1
          things.add(created)
          return created
        },
        async (thing, { name }) => {
          cleaned.push(thing)
          await act(cleanOf.get(name) as Behaviour)
        },
      )
      const cleanOf = new Map<string, Behaviour>()
      const cleanUpNow = (name: string): number | undefined => {
        const isRunning = resources
          .listResources()
          .some((one) => one.name === name && one.state === 'running')
        const thing = isRunning ? resources.getResource<number>(name) : undefined
        watch(resources.cleanupResource(name))
        return thing
      }
      for (const { kind, atMs, name, init, clean } of moves) {
        setTimeout(() => {
          if (kind === 'cleanup') {
            // The application requests this cleanup out of order.
            const cleanedNow = cleanUpNow(name)
            atTheEnd = atTheEnd.filter((thing) => thing !== cleanedNow)
            return
          }
          if (!cleanOf.has(name)) cleanOf.set(name, clean)
          watch(resources.initializeResource({ name, resourceType: 'thing', config: { init, clean } }))
        }, atMs)
      }
      manager.on('transition', ({ to }) => {
        if (to !== 'stopping') return
        const running = resources.listResources().filter(({ state }) => state === 'running')
        atTheEnd = running.map(({ name }) => resources.getResource<number>(name))
      })
      watch(manager.startup())
      setTimeout(() => watch(manager.shutdown()), shutdownAtMs)
      await vi.advanceTimersByTimeAsync(20_000)
      expect(['stopped', 'error']).toContain(manager.state)
      for (const { state } of resources.listResources()) expect(['stopped', 'error']).toContain(state)
      expect([...cleaned].sort((a, b) => a - b)).toEqual([...things])
      const ofTheEnd = cleaned.filter((thing) => atTheEnd.includes(thing))
      expect(ofTheEnd).toEqual([...ofTheEnd].sort((a, b) => b - a))
    }),
    { numRuns: 300 },
  )
})
