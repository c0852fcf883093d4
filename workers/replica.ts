import { parentPort, threadId, workerData } from 'node:worker_threads'
import { exposeControl } from '../src/protocol/replica/control-port.js'
import type { ThreadData, ThreadTask } from '../src/protocol/replica/thread.js'
import { ReplicaCore } from './replica/replica-core.js'
import { ThreadTransport } from './replica/thread-transport.js'

// The entry of a replica on a thread. The module must not throw while it is imported, since Piscina would
// never settle the first task.

const data = workerData as ThreadData
const core = new ReplicaCore({ ...data, id: threadId, log: (line) => parentPort?.postMessage(line) })

/** Handles the tasks that Piscina sends to a replica, one after another. */
export default function replica(task: ThreadTask): Promise<unknown> {
  if (task.kind === 'release') return core.release()
  exposeControl(core.control, task.control)
  core.serve(new ThreadTransport(task.tasks, data.guard))
  return core.load(task)
}
