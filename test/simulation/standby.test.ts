import { expect, it } from 'vitest'
import { holdLock } from '../../src/models/context/locks.js'
import { replaceGlobals } from './globals.js'
import type { Program } from './program.js'
import { Random } from './random.js'
import { SimulatedClock } from './simulated-clock.js'
import { World } from './world.js'

const STANDBY_MS = 200
const program: Program = {
  seed: 1,
  settings: { replicas: 2, maxQueue: 10, standbyMs: STANDBY_MS, loadTimeoutMs: 5_000 },
  models: ['a'],
  commands: [],
  closeMs: 0,
}

it('a version on standby is not stopped while a rollback to it waits for its replicas', async () => {
  const chance = new Random(1)
  const clock = new SimulatedClock(chance)
  const restore = replaceGlobals(clock, chance)
  try {
    const world = new World(program, chance, clock, false, holdLock)
    const { models, lifecycle } = world.runtime
    world.operations.follow('startup', lifecycle.startup())
    await clock.advance(1_000)
    await world.perform({ kind: 'swap', model: 'a', version: '2', drainsFirst: false })
    while (models.getModel('a')?.version !== '2') await clock.advance(1)
    // One of the two replicas of the standby version dies, and the load of its replacement hangs.
    await world.perform({ kind: 'loads', fate: 'hangs', count: 1 })
    world.hosts.find((host) => host.pool.version === '1')?.die()
    await clock.advance(STANDBY_MS / 2)
    await world.perform({ kind: 'rollback', model: 'a' })
    await clock.advance(2 * STANDBY_MS)
    expect(models.getModel('a', '1')?.state).toBe('ready')
    world.machine.thaw()
    await clock.advance(10)
    expect(models.getModel('a')?.version).toBe('1')
    world.close(0)
    await clock.advance(20_000)
    expect(world.violations).toEqual([])
  } finally {
    restore()
  }
})
