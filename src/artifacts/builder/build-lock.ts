import { createHash } from 'node:crypto'
import { once, setMaxListeners } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../../platform/clock.js'

/** Error codes of a connection to a process that has just stopped listening, or is about to. */
const STOPPED: readonly string[] = ['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE']
const RETRY_MS = 20

/**
 * Does `work` while no other process does work of the same name; after `waitMs`, or when `signal` aborts, it
 * no longer waits. The lock is a listening local socket: the kernel removes it when its process ends, in
 * whichever way, and notifies waiting processes at once. It only avoids duplicate work; correctness does not
 * depend on it (macOS has no such sockets).
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
  // One listener waits for each model, without a limit.
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

/** Returns the address of the lock's socket; undefined on platforms where sockets leave files behind. */
function addressOf(name: string): string | undefined {
  const id = createHash('sha256')
    .update(`${process.getuid?.() ?? ''} ${name}`)
    .digest('hex')
  if (process.platform === 'linux') return `\0tbcoin-engine.${id}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\tbcoin-engine.${id}` : undefined
}

/** Takes the lock; `taken` if another process has it, undefined if this process may not listen. */
async function listen(path: string): Promise<Lock | 'taken' | undefined> {
  const waiting = new Set<Socket>()
  const server: Server = createServer((socket) => {
    waiting.add(socket)
    socket.unref()
    socket.on('error', () => undefined)
    socket.once('close', () => waiting.delete(socket))
  })
  // A connection that cannot be accepted (no descriptors left, for example) stops waiting.
  server.on('error', () => undefined)
  server.unref()
  try {
    // Node's permission model throws here without --allow-net.
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

/** Resolves when the listening process has stopped; with the error's code if this process cannot wait for it. */
async function ended(
  clock: Clock,
  path: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const socket = connect({ path })
  const stop = (): void => void socket.destroy()
  // The `signal` option of `connect` would leave a listener behind for every socket.
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
