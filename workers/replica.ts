import { parentPort, threadId, workerData } from 'node:worker_threads'
import { exposeControl } from '../src/protocol/replica/control-port.js'
import type { ThreadData, ThreadTask } from '../src/protocol/replica/thread.js'
import { ReplicaCore } from './replica/replica-core.js'
import { ThreadTransport } from './replica/thread-transport.js'

// The entry of a replica that is a thread. Nothing here may throw while it is imported: Piscina would never
// settle the first task.

const data = workerData as ThreadData
const core = new ReplicaCore({ ...data, id: threadId, log: (line) => parentPort?.postMessage(line) })

/** The one task function of a replica: Piscina calls it with one task after another. */
export default function replica(task: ThreadTask): Promise<unknown> {
  if (task.kind === 'release') return core.release()
  exposeControl(core.control, task.control)
  core.serve(new ThreadTransport(task.tasks, data.guard))
  return core.load(task)
}
