import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deferred, movesOf, quietManager, watch } from '../../support/lifecycle-harness.js'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const never = (): Promise<never> => new Promise(() => undefined)

describe('a shutdown', () => {
  it('runs handlers in reverse order of registration, one after another', async () => {
    const manager = quietManager()
    const moves = movesOf(manager)
    const ran: string[] = []
    const last = deferred()
    manager.addShutdownHandler(() => ran.push('first'))
    manager.addShutdownHandler(() => last.promise.then(() => ran.push('last')))
    await manager.startup()
    const stopping = watch(manager.shutdown('the test says so'))
    await vi.advanceTimersByTimeAsync(0)
    expect(ran).toEqual([])
    last.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect(stopping.outcome).toBe('done')
    expect(ran).toEqual(['last', 'first'])
    expect(moves.slice(-2)).toEqual(['stopping (the test says so)', 'stopped (the test says so)'])
  })

  it('undoes startup handlers in exact reverse of the order in which they ran', async () => {
    const manager = quietManager()
    const ran: string[] = []
    const names = ['server', 'models', 'database', 'cache']
    const dependsOn: Record<string, string[]> = { server: ['models', 'cache'], models: ['database'] }
    for (const name of names) {
      manager.addStartupHandler(() => ran.push(name), { name, dependsOn: dependsOn[name] ?? [] })
    }
    // The order in which the shutdown handlers are registered does not matter.
    for (const name of names) manager.addShutdownHandler(() => ran.push(`-${name}`), { name })
    await manager.startup()
    await manager.shutdown()
    const [started, stopped] = [ran.slice(0, 4), ran.slice(4)]
    expect(started).toEqual(['database', 'models', 'cache', 'server'])
    expect(stopped).toEqual([...started].reverse().map((name) => `-${name}`))
  })

  it('runs handlers phase by phase', async () => {
    const manager = quietManager()
    const ran: string[] = []
    for (const phase of ['telemetry', 'drain', 'resources', 'readiness', 'admission'] as const) {
      manager.addShutdownHandler(() => ran.push(phase), { phase })
    }
    manager.addShutdownHandler(() => ran.push('of no phase'))
    await manager.startup()
    await manager.shutdown()
    expect(ran).toEqual(['readiness', 'admission', 'drain', 'of no phase', 'resources', 'telemetry'])
  })

  it('runs every handler even when some fail, reports all failures, and ends in error', async () => {
    const manager = quietManager()
    const ran: string[] = []
    manager.addShutdownHandler(() => ran.push('one'), { name: 'one' })
    manager.addShutdownHandler(() => Promise.reject(new Error('broken')), { name: 'two' })
    manager.addShutdownHandler(
      () => {
        throw new Error('broken too')
      },
      { name: 'three' },
    )
    await manager.startup()
    const failure = (await manager.shutdown().catch((error: unknown) => error)) as Error & { code: string }
    expect(failure).toMatchObject({
      code: 'ERR_SHUTDOWN',
      cause: { errors: [{ cause: { message: 'broken too' } }, { cause: { message: 'broken' } }] },
    })
    expect(failure.message).toBe(
      '2 shutdown handlers failed: shutdown handler "three" failed: broken too; shutdown handler "two" failed: broken',
    )
    expect(ran).toEqual(['one'])
    expect(manager.state).toBe('error')
  })

  it('happens once, however often and from wherever it is requested', async () => {
    const manager = quietManager()
    let count = 0
    manager.addShutdownHandler(() => {
      count += 1
      void manager.shutdown('again')
    })
    await manager.startup()
    await Promise.all([manager.shutdown(), manager.shutdown()])
    await manager.shutdown()
    expect(count).toBe(1)
  })

  it('gives a hanging handler all the time that the others do not need, and names it', async () => {
    const manager = quietManager({ gracefulShutdownTimeoutMs: 10_000 })
    const ran: string[] = []
    manager.addShutdownHandler(() => ran.push('one'))
    manager.addShutdownHandler(() => ran.push('two'))
    manager.addShutdownHandler(never, { name: 'connections' })
    await manager.startup()
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(8_999)
    expect([stopping.outcome, ran]).toEqual(['open', []])
    await vi.advanceTimersByTimeAsync(1)
    expect(ran).toEqual(['two', 'one'])
    expect(stopping.error).toMatchObject({
      code: 'ERR_SHUTDOWN',
      message: 'shutdown handler "connections" was not done within 9000 ms',
    })
  })

  it('ends within its budget even if every handler hangs', async () => {
    const manager = quietManager({ gracefulShutdownTimeoutMs: 10_000 })
    for (let index = 0; index < 20; index += 1)
      manager.addShutdownHandler(never, { name: `handler ${index}` })
    await manager.startup()
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(10_000)
    await vi.advanceTimersByTimeAsync(20)
    expect(stopping.outcome).toBe('failed')
    expect((stopping.error as { cause: AggregateError }).cause.errors).toHaveLength(20)
  })

  it('gives each of many handlers its turn even if one hangs', async () => {
    const manager = quietManager({ gracefulShutdownTimeoutMs: 2_000 })
    const ran: number[] = []
    for (let index = 0; index < 18; index += 1) manager.addShutdownHandler(() => ran.push(index))
    manager.addShutdownHandler(never, { name: 'hangs' })
    await manager.startup()
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(2_000)
    expect(ran).toHaveLength(18)
    expect((stopping.error as { cause: AggregateError }).cause.errors).toHaveLength(1)
  })

  it('accepts the largest possible budget, which does not expire at once', async () => {
    const manager = quietManager({ gracefulShutdownTimeoutMs: 2 ** 31 - 1 })
    const closing = deferred()
    manager.addShutdownStep(() => closing.promise, { name: 'pools' }, { windUpMs: 2_000 })
    await manager.startup()
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(100_000)
    expect(stopping.outcome).toBe('open')
    closing.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect(stopping.outcome).toBe('done')
  })

  it('accepts a reason and a timeout, and refuses other options', async () => {
    const manager = quietManager()
    const moves = movesOf(manager)
    manager.addShutdownHandler(never, { name: 'hangs' })
    await manager.startup()
    await expect(manager.shutdown({ timeout: 3 } as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
    })
    const stopping = watch(manager.shutdown({ reason: 'deploy', timeoutMs: 100 }))
    await vi.advanceTimersByTimeAsync(100)
    expect(stopping.outcome).toBe('failed')
    expect(moves.at(-1)).toBe('error (deploy)')
  })

  it('is final, and stops the uptime', async () => {
    const manager = quietManager()
    await manager.startup()
    await vi.advanceTimersByTimeAsync(2_000)
    await manager.shutdown()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(manager.uptimeSeconds).toBe(2)
    await expect(manager.startup()).rejects.toMatchObject({ code: 'ERR_STARTUP' })
  })

  it('waits no longer for a handler than its timeout', async () => {
    const manager = quietManager()
    manager.addShutdownHandler(never, { name: 'connections', timeoutMs: 50 })
    await manager.startup()
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(50)
    expect(stopping.error).toMatchObject({
      message: expect.stringContaining('"connections" was not done within 50 ms'),
    })
  })

  it('before any startup runs no handler, and no startup is possible afterwards', async () => {
    const manager = quietManager()
    let count = 0
    manager.addShutdownHandler(() => {
      count += 1
    })
    await manager.shutdown()
    expect([count, manager.state]).toEqual([0, 'stopped'])
    await expect(manager.startup()).rejects.toMatchObject({ code: 'ERR_STARTUP' })
  })
})

describe('a shutdown during a startup', () => {
  it('aborts the signal of the running handler, waits for it and undoes it, and skips the other handlers', async () => {
    const manager = quietManager()
    const ran: string[] = []
    const slow = deferred()
    let isTold = false
    manager.addStartupHandler(
      ({ signal }) => {
        signal.addEventListener('abort', () => {
          isTold = true
        })
        return slow.promise
      },
      { name: 'database' },
    )
    manager.addStartupHandler(() => ran.push('start server'), { name: 'server' })
    manager.addShutdownHandler(() => ran.push('stop database'), { name: 'database' })
    manager.addShutdownHandler(() => ran.push('stop server'), { name: 'server' })
    const closing = deferred()
    manager.addShutdownHandler(() => closing.promise, { phase: 'telemetry' })
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(0)
    const stopping = watch(manager.shutdown('SIGTERM'))
    await vi.advanceTimersByTimeAsync(1_000)
    expect([isTold, stopping.outcome, ran]).toEqual([true, 'open', []])
    slow.resolve()
    await vi.advanceTimersByTimeAsync(0)
    // A caller may end the process when the startup rejects, so everything must be undone before.
    expect([starting.outcome, stopping.outcome]).toEqual(['open', 'open'])
    closing.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect(stopping.outcome).toBe('done')
    expect(starting.error).toMatchObject({
      code: 'ERR_STARTUP',
      message: expect.stringContaining('shut down while it started (SIGTERM)'),
    })
    expect(ran).toEqual(['stop database'])
    expect(manager.state).toBe('stopped')
  })

  it('rejects the startup with an error code, whatever the running handler does', async () => {
    const manager = quietManager()
    manager.addStartupHandler(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject('a string'))
        }),
    )
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(0)
    await manager.shutdown('SIGTERM')
    await vi.advanceTimersByTimeAsync(0)
    expect(starting.error).toMatchObject({
      code: 'ERR_STARTUP',
      cause: 'a string',
      message: expect.stringContaining('(SIGTERM)'),
    })
  })

  it('abandons a hanging handler at the end of the budget, and undoes it if it completes later', async () => {
    const manager = quietManager({ gracefulShutdownTimeoutMs: 1_000 })
    const ran: string[] = []
    const slow = deferred()
    manager.addStartupHandler(() => slow.promise, { name: 'database' })
    manager.addShutdownHandler(() => ran.push('stop database'), { name: 'database' })
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(0)
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(1_000)
    expect([starting.outcome, stopping.outcome, ran]).toEqual(['failed', 'done', []])
    slow.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect(ran).toEqual(['stop database'])
  })

  it.each(['initializing', 'ready', 'starting', 'running'] as const)(
    'by a listener of the move to %s ends in a legal state',
    async (state) => {
      const manager = quietManager()
      const ran: string[] = []
      manager.addStartupHandler(() => ran.push('start'), { name: 'one' })
      manager.addShutdownHandler(() => ran.push('stop'), { name: 'one' })
      let stopping: Promise<void> | undefined
      manager.on('transition', ({ to }) => {
        if (to === state) stopping = manager.shutdown()
      })
      const starting = watch(manager.startup())
      await vi.advanceTimersByTimeAsync(0)
      await stopping
      expect(manager.state).toBe('stopped')
      expect(ran).toEqual(state === 'initializing' ? [] : ['start', 'stop'])
      if (state === 'running') expect(starting.outcome).toBe('done')
      else expect(starting.error).toMatchObject({ code: 'ERR_STARTUP' })
    },
  )

  it('after a failed startup waits until that startup is undone', async () => {
    const manager = quietManager()
    const closing = deferred()
    manager.addStartupHandler(() => undefined, { name: 'database' })
    manager.addShutdownHandler(() => closing.promise, { name: 'database' })
    manager.addStartupHandler(() => Promise.reject(new Error('broken')), { name: 'models' })
    const starting = watch(manager.startup())
    await vi.advanceTimersByTimeAsync(0)
    const stopping = watch(manager.shutdown())
    await vi.advanceTimersByTimeAsync(0)
    expect([starting.outcome, stopping.outcome]).toEqual(['open', 'open'])
    closing.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect([starting.outcome, stopping.outcome, manager.state]).toEqual(['failed', 'done', 'error'])
  })
})
