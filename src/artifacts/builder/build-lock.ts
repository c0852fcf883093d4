import { createHash } from 'node:crypto'
import { once, setMaxListeners } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../../platform/clock.js'

/** Errors of a connection to a process that has just stopped, or stops. */
const STOPPED: readonly string[] = ['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE']
const RETRY_MS = 20

/**
 * Does `work` while no other process that uses the same name does; after `waitMs`, or when `signal`
 * aborts, it no longer waits.
 * The lock is a local socket that is listened to: the kernel takes it away when its process ends, in
 * whichever way, and whoever waits is told at once. Its worth is that the same is not done twice at
 * the same time; nothing goes wrong without it (macOS has no such sockets).
 */
export async function withBuildLock<T>(
  clock: Clock,
  name: string,
  waitMs: number,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const path = addressOf(name)
  if (path === undefined) return work()
  // As many may wait as there are models.
  setMaxListeners(0, signal)
  const endsAtMs = clock.now() + waitMs
  for (;;) {
    const lock = await listen(path)
    const leftMs = endsAtMs - clock.now()
    if (lock !== 'taken' || leftMs <= 0 || signal.aborted) {
      try {
        return await work()
      } finally {
        if (lock !== 'taken') lock?.release()
      }
    }
    const refusal = await ended(clock, path, leftMs, signal)
    if (refusal === undefined) continue
    if (!STOPPED.includes(refusal)) return work()
    await new Promise<void>((resolve) => clock.setTimeout(resolve, RETRY_MS))
  }
}

interface Lock {
  release(): void
}

/** Undefined where sockets leave files behind. */
function addressOf(name: string): string | undefined {
  const id = createHash('sha256')
    .update(`${process.getuid?.() ?? ''} ${name}`)
    .digest('hex')
  if (process.platform === 'linux') return `\0tbcoin-engine.${id}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\tbcoin-engine.${id}` : undefined
}

/** Undefined where that is not allowed. */
async function listen(path: string): Promise<Lock | 'taken' | undefined> {
  const waiting = new Set<Socket>()
  const server: Server = createServer((socket) => {
    waiting.add(socket)
    socket.unref()
    socket.on('error', () => undefined)
    socket.once('close', () => waiting.delete(socket))
  })
  // A connection that cannot be accepted, for want of descriptors, say, waits no longer.
  server.on('error', () => undefined)
  server.unref()
  try {
    // Node's permission model throws here, without --allow-net.
    server.listen(path)
    await once(server, 'listening')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'taken' : undefined
  }
  return {
    release: () => {
      server.close()
      for (const socket of waiting) socket.destroy()
    },
  }
}

/** Resolves when the process that listens has stopped; with the error's code if it cannot be waited for. */
async function ended(
  clock: Clock,
  path: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const socket = connect({ path })
  const stop = (): void => void socket.destroy()
  // Not by the option of that name, which leaves a listener behind for every socket.
  signal.addEventListener('abort', stop)
  const timer = clock.setTimeout(stop, waitMs)
  let code: string | undefined
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code
  })
  socket.resume()
  await once(socket, 'close').catch(() => undefined)
  clock.clear(timer)
  signal.removeEventListener('abort', stop)
  return code
}
