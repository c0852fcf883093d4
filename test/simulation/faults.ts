/** A fault that is put into a copy of the code, and that the simulation has to find. */
export interface Fault {
  readonly name: string
  readonly file: string
  /** The text to replace; it occurs in the file exactly once. */
  readonly text: string
  readonly replacement: string
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'a load that does not look again whether its replicas live',
    file: 'src/models/version/model-version.ts',
    text: `      if (this.#served !== served) throw this.#machine.cause
`,
    replacement: '',
  },
  {
    name: 'a lease that is lost when a queued request settles',
    file: 'src/pools/version-pool.ts',
    text: `    if (request.stage === 'queued') this.#queue.remove(request)
    this.#leases -= 1`,
    replacement: `    if (request.stage === 'queued') {
      this.#queue.remove(request)
      return
    }
    this.#leases -= 1`,
  },
  {
    name: 'a promotion before the new version is announced as ready for it',
    file: 'src/models/rollout/promotion.ts',
    text: `  next.promote(trigger, () => {`,
    replacement: `  context.events.publish('promoted', { subject: modelSubject(next.record.subject), from: undefined })
  next.promote(trigger, () => {`,
  },
  {
    name: 'a drain that ends a replica in the middle of its run',
    file: 'src/pools/version-pool.ts',
    text: `    if (this.#life.isOpen || this.#life.state === 'created') this.#life.drain()`,
    replacement: `    if (this.#life.isOpen || this.#life.state === 'created') {
      this.#life.drain()
      for (const host of this.hosts) void host.terminate()
    }`,
  },
  {
    name: 'the timer of a request that is left when it settles',
    file: 'src/pools/queue/run-request.ts',
    text: `    if (this.#timer !== undefined) this.#clock.clear(this.#timer)
`,
    replacement: '',
  },
  {
    name: 'a listener of a signal that is left when its request settles',
    file: 'src/pools/queue/run-request.ts',
    text: `    if (this.#signal !== undefined) unfollow(this.#signal, this)
`,
    replacement: '',
  },
  {
    name: 'a request that settles its lease after its caller',
    file: 'src/pools/queue/run-request.ts',
    text: `      this.lease?.settled(this)
      this.onSettled?.(this, error)
      this.#close()`,
    replacement: `      this.#close()
      this.lease?.settled(this)
      this.onSettled?.(this, error)`,
  },
  {
    name: 'an artifact that is not released with its pool',
    file: 'src/models/loading/create-pool.ts',
    text: `      dispose: () => context.artifacts.release(prepared),`,
    replacement: `      dispose: async () => undefined,`,
  },
  {
    name: 'room that stays reserved after a load that fails',
    file: 'src/models/loading/start-pool.ts',
    text: `    load?.change.end()
    room.release()
    throw error`,
    replacement: `    load?.change.end()
    throw error`,
  },
  {
    name: 'room that is given away twice',
    file: 'src/memory/memory-budget.ts',
    text: `  return budgetBytes - heldBytes - reservedBytes`,
    replacement: `  return budgetBytes - heldBytes - 0 * reservedBytes`,
  },
  {
    name: 'a version that is replaced and never drained',
    file: 'src/models/rollout/promotion.ts',
    text: `return standbyMs === 0 ? old.drain(trigger) : emptied(old)`,
    replacement: `return standbyMs === 0 ? Promise.resolve(undefined) : emptied(old)`,
  },
  {
    name: 'a queue that is one longer than its limit each time',
    file: 'src/pools/version-pool.ts',
    text: `if (this.#queue.size >= this.settings.maxQueue + this.#replicas.idle.size) {`,
    replacement: `if (this.#queue.size >= this.settings.maxQueue + 10 + this.#replicas.idle.size) {`,
  },
  {
    name: 'a request that waited for a load and goes to whatever is active by then',
    file: 'src/models/predictor.ts',
    text: `        current = successor
`,
    replacement: `        current = this.#catalogue.get(current.spec.name)?.routes.active ?? successor
`,
  },
  {
    name: 'a dead replica that keeps its place among the idle ones',
    file: 'src/pools/replicas/idle-replicas.ts',
    text: `      if (index !== -1) this.#replicas.splice(index, 1)`,
    replacement: `      if (index === -2) this.#replicas.splice(index, 1)`,
  },
  {
    name: 'requests of a pack that are forgotten when its thread dies',
    file: 'src/pools/replicas/replica-set.ts',
    text: `    this.#events.requeue(runs, cause)
`,
    replacement: '',
  },
  {
    name: 'a close that does not wait for resources',
    file: 'src/resources/resource-manager.ts',
    text: `    this.#closing ??= Promise.resolve().then(() => this.cleanupAll(options))
    return this.#closing`,
    replacement: `    this.#closing ??= Promise.resolve()
    return this.#closing`,
  },
  {
    name: 'a resource that is cleaned up twice',
    file: 'src/resources/cleanup.ts',
    text: `  resource.held = undefined
  if (held`,
    replacement: `  if (held`,
  },
  {
    name: 'a tick that asks for another one for ever',
    file: 'src/pools/scheduling/dispatcher.ts',
    text: `      this.#willFlush = false
      this.flush()`,
    replacement: `      this.#willFlush = false
      this.flush()
      if (this.#life.isStopped) this.flushSoon()`,
  },
  {
    name: 'a loop that never ends',
    file: 'src/pools/scheduling/requeue.ts',
    text: `  refuse(error: Error): void {`,
    replacement: `  refuse(error: Error): void {
    while (this.size > 0) {}`,
  },
  {
    name: 'an eviction that does not look again once its lane is free',
    file: 'src/models/unloading/evictor.ts',
    text: `      if (!mayGo()) return undefined
`,
    replacement: '',
  },
  {
    name: 'a failed swap that leaves the requests at the version that was not loaded',
    file: 'src/models/rollout/plan-swap.ts',
    text: `  if (isVacated && !undone.has('reroute')) return 'reroute'
`,
    replacement: '',
  },
  {
    name: 'a swap of the wrong version, which is not refused',
    file: 'src/models/rollout/plan-swap.ts',
    text: `  if (swap.expected !== undefined && swap.expected !== swap.active) return 'version conflict'
`,
    replacement: '',
  },
  {
    name: 'a load that goes on while the runtime is being closed',
    file: 'src/models/version/model-version.ts',
    text: `      assertOpen(this.#context)
      // Its replicas`,
    replacement: `      // Its replicas`,
  },
  {
    name: 'a replica that could not be started and that a close does not wait for',
    file: 'src/pools/replicas/replica-set.ts',
    text: `...this.#retiring.ending, ...this.#unstarted]`,
    replacement: `...this.#retiring.ending]`,
  },
]
