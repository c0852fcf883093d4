/** A fault that is put into a copy of the code, which the simulation has to find. */
export interface Fault {
  readonly name: string
  readonly file: string
  /** Stands in the file exactly once. */
  readonly text: string
  readonly replacement: string
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'a pool with a new artifact that takes the place of one that has gone meanwhile',
    file: 'src/models/renew-pool.ts',
    text: `      if (!isAsBefore() || !next.isOpen) return
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
    file: 'src/models/promotion.ts',
    text: `  entry.active = next
  if (old !== undefined && old !== next) entry.previous = old.spec.version
  next.machine.to('running', trigger)`,
    replacement: `  next.machine.to('running', trigger)
  serving.emit('promoted', { model: entry.name, from: old?.spec.version, to: next.spec.version })
  entry.active = next
  if (old !== undefined && old !== next) entry.previous = old.spec.version`,
  },
  {
    name: 'a drain that ends a replica in the middle of its run',
    file: 'src/pools/version-pool.ts',
    text: `    if (this.#state === 'open' || this.#state === 'created') this.#state = 'draining'`,
    replacement: `    if (this.#state === 'open' || this.#state === 'created') {
      this.#state = 'draining'
      for (const host of this.hosts) void host.terminate()
    }`,
  },
  {
    name: 'the timer of a request that is left when it settles',
    file: 'src/pools/run-request.ts',
    text: `      if (this.#timer !== undefined) this.#clock.clear(this.#timer)
`,
    replacement: '',
  },
  {
    name: 'a listener of a signal that is left when its request settles',
    file: 'src/pools/run-request.ts',
    text: `      if (this.#signal !== undefined) unfollow(this.#signal, this)
`,
    replacement: '',
  },
  {
    name: 'a request that settles its lease after its caller',
    file: 'src/pools/run-request.ts',
    text: `      this.lease?.settled(this)
      this.onSettled?.(this, error)
      this.#stage = 'settled'`,
    replacement: `      this.#stage = 'settled'
      this.lease?.settled(this)
      this.onSettled?.(this, error)`,
  },
  {
    name: 'an artifact that is not released with its pool',
    file: 'src/models/create-pool.ts',
    text: `      dispose: () => serving.artifacts.release(prepared),`,
    replacement: `      dispose: async () => undefined,`,
  },
  {
    name: 'a superseded swap that is promoted all the same',
    file: 'src/models/hot-swap.ts',
    text: `    if (!wasReady) await bringUp(serving, next, order.trigger)
    try {
      check()`,
    replacement: `    if (!wasReady) await bringUp(serving, next, order.trigger)
    try {`,
  },
  {
    name: 'room that stays reserved after a load that fails',
    file: 'src/models/start-pool.ts',
    text: `    load?.change.end()
    room.release()
    throw error`,
    replacement: `    load?.change.end()
    throw error`,
  },
  {
    name: 'room that is given away twice',
    file: 'src/memory/governor.ts',
    text: `- this.#reservedBytes
        if (neededBytes <= freeBytes) break`,
    replacement: `
        if (neededBytes <= freeBytes) break`,
  },
  {
    name: 'a version that is replaced and never drained',
    file: 'src/models/promotion.ts',
    text: `  if (standbyMs === 0) return takeDown(serving, old, trigger, drainTimeoutOf(serving, old))
`,
    replacement: `  if (standbyMs === 0) return Promise.resolve(undefined)
`,
  },
  {
    name: 'a queue that is one longer than its limit each time',
    file: 'src/pools/version-pool.ts',
    text: `if (this.#queue.size >= this.settings.maxQueue + this.#replicas.idleCount) {`,
    replacement: `if (this.#queue.size >= this.settings.maxQueue + 10 + this.#replicas.idleCount) {`,
  },
  {
    name: 'a request that waited for a load and goes to whatever is active by then',
    file: 'src/models/predictor.ts',
    text: `        current = successor
`,
    replacement: `        current = this.#serving.catalogue.get(current.spec.name)?.active ?? successor
`,
  },
  {
    name: 'a dead replica that keeps its place among the idle ones',
    file: 'src/pools/replica-set.ts',
    text: `    if (index !== -1) this.#idle.splice(index, 1)`,
    replacement: `    if (index === -2) this.#idle.splice(index, 1)`,
  },
  {
    name: 'requests of a pack that are forgotten when its thread dies',
    file: 'src/pools/dispatcher.ts',
    text: `      if (replica.state !== 'quarantined') this.takeBack(replica.abandon(error), error)`,
    replacement: `      if (replica.state !== 'quarantined') replica.abandon(error)`,
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
    file: 'src/pools/dispatcher.ts',
    text: `      this.#willFlush = false
      this.flush()`,
    replacement: `      this.#willFlush = false
      this.flush()
      if (this.#isClosed) this.flushSoon()`,
  },
  {
    name: 'a loop that never ends',
    file: 'src/pools/requeue.ts',
    text: `  refuse(error: Error): void {`,
    replacement: `  refuse(error: Error): void {
    while (this.size > 0) {}`,
  },
]
