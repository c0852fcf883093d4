import cluster from 'node:cluster'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What tells how often the application runs on this machine. */
export interface ProcessSigns {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isClusterWorker: boolean
  readonly parentPid: number
  /** The folder that stands for `/`. */
  readonly root: string
}

/**
 * Among how many processes of the application, this one included, the cores are shared: the
 * instances that pm2 was told to start, times the present workers of this worker's `node:cluster`
 * primary; 1 where nothing is known.
 */
export function processCount(signs: Partial<ProcessSigns> = {}): number {
  const {
    env = process.env,
    isClusterWorker = cluster.isWorker,
    parentPid = process.ppid,
    root = '/',
  } = signs
  // There the primary is pm2, which has workers of other applications too.
  const isPm2Worker = env.pm_id !== undefined && env.exec_mode === 'cluster_mode'
  const workers = isClusterWorker && !isPm2Worker ? workersOf(join(root, 'proc'), parentPid) : 1
  return pm2Instances(env) * workers
}

/** pm2 writes its settings of an application into the environment, `instances` as a number. */
function pm2Instances({ pm_id, instances }: ProcessSigns['env']): number {
  const count = Number(instances)
  return pm_id !== undefined && Number.isInteger(count) && count > 0 ? count : 1
}

/** The children of `pid` that its `node:cluster` has forked; 1 where /proc does not tell. */
function workersOf(proc: string, pid: number): number {
  try {
    const tasks = join(proc, String(pid), 'task')
    const children = readdirSync(tasks).flatMap((task) => {
      const text = readFileSync(join(tasks, task, 'children'), 'latin1')
      return text.split(' ').filter((child) => child !== '')
    })
    return Math.max(1, children.filter((child) => isWorker(proc, child)).length)
  } catch {
    return 1
  }
}

/** Node takes the variable out of `process.env`, the kernel keeps what the process was started with. */
function isWorker(proc: string, pid: string): boolean {
  try {
    return /(^|\0)NODE_UNIQUE_ID=/.test(readFileSync(join(proc, pid, 'environ'), 'latin1'))
  } catch {
    // It has ended meanwhile, or belongs to somebody else.
    return false
  }
}
