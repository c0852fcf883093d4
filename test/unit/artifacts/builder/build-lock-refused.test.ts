import type * as net from 'node:net'
import { expect, it, vi } from 'vitest'
import { withBuildLock } from '../../../../src/artifacts/builder/build-lock.js'
import { systemClock } from '../../../../src/platform/clock.js'

const refusals: string[] = []

/** Fails each connection for the next reason in `refusals`. */
vi.mock('node:net', async (original) => {
  const real = await original<typeof net>()
  const connect = (): net.Socket =>
    new real.Socket().destroy(Object.assign(new Error('refused'), { code: refusals.shift() }))
  return { ...real, connect }
})

it.runIf(process.platform !== 'darwin')(
  'work under a build lock begins without waiting when connecting to the lock fails',
  async () => {
    const { signal } = new AbortController()
    const name = `test ${process.pid} ${Math.random()}`
    let end = (): void => undefined
    const first = withBuildLock(
      systemClock,
      name,
      60_000,
      signal,
      () => new Promise<void>((resolve) => (end = resolve)),
    )
    // The first two can mean that the process has just stopped; the third means that no descriptors are left.
    refusals.push('ECONNREFUSED', 'ENOENT', 'EMFILE', 'never asked for')
    expect(await withBuildLock(systemClock, name, 60_000, signal, async () => 'done')).toBe('done')
    expect(refusals).toEqual(['never asked for'])
    end()
    await first
  },
)
