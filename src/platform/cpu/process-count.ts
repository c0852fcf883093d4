import cluster from 'node:cluster'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The signs that show how many processes of the application run on this machine. */
export interface ProcessSigns {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isClusterWorker: boolean
  readonly parentPid: number
  /** The folder that stands for `/`. */
  readonly root: string
}

/**
 * Returns the number of processes of the application, this one included, among which the cores are shared: the number
 * of instances that pm2 starts, times the present workers of this worker's `node:cluster` primary; 1 if neither is
 * known.
 */
export function processCount(signs: Partial<ProcessSigns> = {}): number {
  const {
    env = process.env,
    isClusterWorker = cluster.isWorker,
    parentPid = process.ppid,
    root = '/',
  } = signs
  // Under pm2 the primary is pm2 itself, which also has workers of other applications.
  const isPm2Worker = env.pm_id !== undefined && env.exec_mode === 'cluster_mode'
  const workers = isClusterWorker && !isPm2Worker ? workersOf(join(root, 'proc'), parentPid) : 1
  return pm2Instances(env) * workers
}

/**
 * Returns the number of instances that pm2 starts: it writes its settings of an application into the environment,
 * `instances` as a number.
 */
function pm2Instances({ pm_id, instances }: ProcessSigns['env']): number {
  const count = Number(instances)
  return pm_id !== undefined && Number.isInteger(count) && count > 0 ? count : 1
}

/** Returns the number of children of `pid` that its `node:cluster` has forked; 1 if /proc does not list them. */
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

/**
 * Returns whether the process is a cluster worker. Node removes the variable from `process.env`, but the kernel keeps
 * the environment that the process was started with.
 */
function isWorker(proc: string, pid: string): boolean {
  try {
    return /(^|\0)NODE_UNIQUE_ID=/.test(readFileSync(join(proc, pid, 'environ'), 'latin1'))
  } catch {
    // The process has ended meanwhile, or belongs to another user.
    return false
  }
}
