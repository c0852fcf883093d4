import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { processWide } from './process-wide.js'

interface Identity {
  /** A hash of the machine's boot and the space of process numbers; each container has its own. */
  readonly host: string
  /** The whole identity. */
  readonly text: string
}

/**
 * Returns a text that identifies this process among those that share a folder: the host, the process number and,
 * because numbers are reused, the start time.
 */
export function ownIdentity(): string {
  return sharedIdentity().text
}

/**
 * Returns whether the process of `identity` may still be running. If that cannot be determined from here, it counts
 * as running until `believedMs` after it last wrote `path`.
 */
export async function mayBeAlive(
  identity: string,
  path: string,
  believedMs: number,
  nowMs: number,
): Promise<boolean> {
  const isRunning = isAlive(identity)
  if (isRunning !== undefined) return isRunning
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

/** Returns whether the process is running; undefined if that cannot be determined from here. */
function isAlive(identity: string): boolean | undefined {
  const [host, pidText, start] = identity.split('.')
  const pid = Number(pidText)
  if (host !== sharedIdentity().host || !(pid > 0)) return undefined
  const startedAt = startOf(pid)
  if (startedAt !== undefined) return String(startedAt) === start
  // This is for systems without /proc, and for those that hide the processes of other users.
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
    // Containers may share a host name, but not their process numbers.
    return process.platform === 'linux' ? randomUUID() : hostname()
  }
}

/**
 * Returns the start time in ticks since the boot, field 22 of proc_pid_stat(5); undefined if there is no such
 * process.
 */
function startOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in brackets may contain any character.
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return undefined
  }
}
