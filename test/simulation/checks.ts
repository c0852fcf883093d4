import type { World } from './world.js'

/** Sums over all versions take longer than most steps, so they are checked less often. */
const MODELS_EVERY = 8

/** Checks the promises that hold whenever no microtask is left. */
export function checkStep(world: World): void {
  const { runtime, callers, application } = world
  callers.check()
  const { totals, active } = runtime.requests.counts()
  const begun = callers.calls.length + application.begun
  const open = callers.open.size + application.begun - application.ended
  const ended = totals.completed + totals.failed + totals['timed-out'] + totals.cancelled + totals.rejected
  if (totals.received !== begun) world.violated(`${totals.received} requests were counted of ${begun}`)
  if (active.received + active.queued + active.running !== open) {
    world.violated(`${JSON.stringify(active)} requests are counted as open, and ${open} are`)
  }
  if (ended !== begun - open) world.violated(`${ended} requests are counted as over, and ${begun - open} are`)
  world.checks += 1
  if (world.checks % MODELS_EVERY === 0) checkModels(world)
}

function checkModels(world: World): void {
  const { runtime, settings } = world
  const { memory, models } = runtime.stats()
  const { budgetBytes, reservedBytes } = memory.budget
  if (reservedBytes < 0 || (budgetBytes > 0 && reservedBytes > budgetBytes)) {
    world.violated(`${reservedBytes} bytes of ${budgetBytes} are reserved`)
  }
  if (budgetBytes > 0 && !world.conditions.isHarmed && world.machine.heldBytes > budgetBytes) {
    world.violated(`${world.machine.heldBytes} bytes are held, ${budgetBytes} are the budget`)
  }
  const isActive = new Set<string>()
  for (const info of models) {
    const label = `${info.name}@${info.version}`
    const { pool, queued, inFlight, requests, errors, latency } = info.stats
    if (info.isActive && isActive.has(info.name)) world.violated(`${info.name} has two active versions`)
    if (info.isActive) isActive.add(info.name)
    if (queued < 0 || inFlight < 0)
      world.violated(`${label} has ${queued} requests queued, ${inFlight} in flight`)
    if (requests !== errors + latency.count + queued + inFlight) {
      world.violated(
        `${label}: of ${requests} requests ${errors} + ${latency.count} are over, ${queued + inFlight} open`,
      )
    }
    const isPoolless = info.state === 'stopped' || info.state === 'uninitialized'
    if (isPoolless && pool !== undefined) world.violated(`${label} is ${info.state} and has a pool`)
    const isServing = info.state === 'running' || info.state === 'ready'
    if (isServing && pool === undefined) world.violated(`${label} is ${info.state} without a pool`)
    if (
      pool !== undefined &&
      pool.queued > (settings.maxQueue ?? 0) + Math.max(pool.wanted, pool.replicas) + 3
    ) {
      world.violated(`${label} has ${pool.queued} requests queued`)
    }
  }
}

/** Checks the promises that hold when all work has completed, and nothing has gone wrong since. */
export function checkCalm(world: World): void {
  const { callers, operations, machine, runtime } = world
  callers.checkEnd()
  operations.checkEnd()
  const models = runtime.models.listModels()
  for (const { name, version, state } of models) {
    const isOnItsWay = state === 'initializing' || state === 'starting' || state === 'stopping'
    if (isOnItsWay) world.violated(`${name}@${version} is ${state}, and nothing is under way`)
  }
  const served = models.reduce((sum, { stats }) => sum + (stats.pool?.replicas ?? 0), 0)
  if (machine.alive.length !== served) {
    world.violated(`${machine.alive.length} threads are there, and ${served} serve`)
  }
  const { reservedBytes } = runtime.stats().memory.budget
  if (reservedBytes !== 0) world.violated(`${reservedBytes} bytes are reserved, and nothing is being loaded`)
}

/** Checks the promises that hold as soon as a close is over. */
export function checkClosed(world: World): void {
  const { callers, hosts, runtime, machine, application, clock } = world
  callers.checkEnd()
  const left = hosts.filter((host) => !host.isGone && !host.isDetached)
  if (left.length > 0) world.violated(`${left.length} threads are left`)
  // A call that the machine or the application has not returned from in time has timers of its own.
  const isWhole = machine.alive.length + machine.busy === 0 && !application.isUsed
  if (isWhole && clock.pending > 0) world.violated(`${clock.pending} timers are left`)
  if (runtime.state !== 'stopped' && runtime.state !== 'error')
    world.violated(`the runtime is ${runtime.state}`)
}

/** Checks the promises that hold when all calls have returned that hung when the runtime was closed. */
export function checkEnd(world: World): void {
  const { clock, machine, operations, application, transitions, runtime } = world
  checkModels(world)
  operations.checkEnd()
  application.checkEnd()
  transitions.checkEnd()
  if (clock.pending > 0) world.violated(`${clock.pending} timers are still left`)
  if (machine.alive.length > 0) world.violated(`${machine.alive.length} threads never ended`)
  for (const [key, count] of machine.marks)
    world.violated(`the artifact ${key} is still in use, ${count} times`)
  for (const { name, version, stats } of runtime.models.listModels()) {
    if (stats.queued + stats.inFlight > 0 || stats.pool !== undefined) {
      world.violated(`${name}@${version} still has a pool, or requests`)
    }
  }
}
