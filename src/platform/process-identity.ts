import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { processWide } from './process-wide.js'

interface Identity {
  /** This boot of the machine and this space of process numbers: each container has its own. */
  readonly host: string
  /** The whole of it. */
  readonly text: string
}

/**
 * Returns what tells processes that share a folder apart: where its number means something, the number, and when it
 * was started, since numbers are used again.
 */
export function ownIdentity(): string {
  return sharedIdentity().text
}

/**
 * Returns whether that process may still run. If that cannot be told from here, it counts as running for `believedMs`
 * after it has last written `path`.
 */
export async function mayBeAlive(
  identity: string,
  path: string,
  believedMs: number,
  nowMs: number,
): Promise<boolean> {
  const alive = isAlive(identity)
  if (alive !== undefined) return alive
  return stat(path).then(
    ({ mtimeMs }) => nowMs - mtimeMs < believedMs,
    () => false,
  )
}

function sharedIdentity(): Identity {
  return processWide('identity', () => {
    const host = createHash('sha256').update(hostText()).digest('hex').slice(0, 12)
    return { host, text: `${host}.${process.pid}.${startOf(process.pid) ?? 0}` }
  })
}

/** Undefined if that cannot be told from here. */
function isAlive(identity: string): boolean | undefined {
  const [where, text, start] = identity.split('.')
  const pid = Number(text)
  if (where !== sharedIdentity().host || !(pid > 0)) return undefined
  const startedAt = startOf(pid)
  if (startedAt !== undefined) return String(startedAt) === start
  // Where /proc is not there, or hides what belongs to others.
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function hostText(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1') + readlinkSync('/proc/self/ns/pid')
  } catch {
    // Containers may have the same host name, but not the same process numbers.
    return process.platform === 'linux' ? randomUUID() : hostname()
  }
}

/** Ticks since the boot, field 22 of proc_pid_stat(5); undefined if there is no such process. */
function startOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in brackets may have anything in it.
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return undefined
  }
}
