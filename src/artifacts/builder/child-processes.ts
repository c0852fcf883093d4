import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { messageOf } from '../../errors/errors.js'
import type { Clock } from '../../platform/clock.js'
import { missingGrant } from '../../platform/permission.js'
import { processWide } from '../../platform/process-wide.js'
import { BuilderUnavailable } from './builder-failure.js'

/** Environment variable with the id of the process that started this one as its builder. */
export const PARENT_VARIABLE = '_TBCOIN_ENGINE_BUILDER_OF'

/** The builder's program, with the Node that runs it, its Node options and its environment. */
export interface BuilderEntry {
  readonly path: string
  /** The Node that runs it, or the reason why there is none. */
  readonly node: { readonly path: string } | { readonly reason: string }
  readonly execArgv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The children of all runtimes; one listener ends them with this process. */
interface Builders {
  readonly running: Set<ChildProcess>
  readonly endAll: () => void
}

function sharedBuilders(): Builders {
  return processWide('builders', () => {
    const running = new Set<ChildProcess>()
    const endAll = (): void => {
      for (const child of running) endChild(child)
    }
    return { running, endAll }
  })
}

/** Starts a builder process. @throws BuilderUnavailable with the reason if no process can be started. */
export async function startChild(
  clock: Clock,
  { path, node, execArgv, env }: BuilderEntry,
): Promise<ChildProcess> {
  if ('reason' in node) throw new BuilderUnavailable(node.reason)
  const grant = missingGrant('child')
  if (grant !== undefined)
    throw new BuilderUnavailable(`the permission model denies starting another process; ${grant}`)
  if (!existsSync(path))
    throw new BuilderUnavailable(
      `its file ${path} is missing or not readable; if a bundler moved it, set \`builderEntry\``,
    )
  const parent = String(process.pid)
  const child = forked(path, [parent], {
    execPath: node.path,
    execArgv: [...execArgv],
    env: { ...env, [PARENT_VARIABLE]: parent },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  // The order that waits for the process reports its end.
  child.on('error', () => undefined)
  if (child.pid === undefined) {
    const later = new Promise<void>((resolve) => clock.setImmediate(resolve))
    const reasons = await Promise.race([once(child, 'error'), later.then(() => ['it has no process id'])])
    if (child.connected) child.disconnect()
    throw new BuilderUnavailable(messageOf(reasons[0]))
  }
  const { running, endAll } = sharedBuilders()
  if (running.size === 0) process.on('exit', endAll)
  running.add(child)
  child.once('exit', () => forget(child))
  return child
}

/** Ends the process at once, even in the middle of an order. */
export function endChild(child: ChildProcess): void {
  // For a process without an id, which could not be started, libuv would signal an arbitrary process.
  if (child.pid !== undefined) child.kill('SIGKILL')
  forget(child)
}

/** Sets whether the process, and the channel to it, keep this process alive. */
export function setAwake(child: ChildProcess, isAwake: boolean): void {
  if (isAwake) {
    child.ref()
    child.channel?.ref()
  } else {
    child.unref()
    child.channel?.unref()
  }
}

function forget(child: ChildProcess): void {
  const { running, endAll } = sharedBuilders()
  if (running.delete(child) && running.size === 0) process.off('exit', endAll)
}

function forked(...args: Parameters<typeof fork>): ChildProcess {
  try {
    return fork(...args)
  } catch (error) {
    throw new BuilderUnavailable(messageOf(error))
  }
}
